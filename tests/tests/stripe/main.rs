//! `source-stripe` against the sandbox: the acceptance cases of its design, every stream, bad
//! input, faults and kills.

mod bad_input;
mod basics;
mod changes;
mod first_reads;
mod streams;
