//! Buckets on a disk that fails, runs full, and forgets.

mod damage;
mod faults;
mod power;
mod world;
