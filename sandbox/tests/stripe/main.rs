//! The emulated Stripe against its own truth and against what Stripe's documentation promises.

mod changes;
mod client;
mod lists;
mod truth;
mod versions;
