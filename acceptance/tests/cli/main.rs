//! The program as people call it: what it prints, which files it writes, how it exits.

mod bench;
mod files;
mod image;
mod recording;
mod run;
mod usage;
