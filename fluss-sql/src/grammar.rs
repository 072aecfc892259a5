//! What we do not carry, refused by its name.
