//! Tables as plans read them.
