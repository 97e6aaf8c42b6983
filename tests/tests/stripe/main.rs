//! `source-stripe` against the sandbox: the acceptance cases of its design, every stream, bad
//! input, faults and kills.

mod accounts;
mod bad_input;
mod basics;
mod changes;
mod faults;
mod first_reads;
mod kills;
mod memory;
mod settings;
mod states;
mod streams;
mod unreported;
