//! What finds violations of the rules: functions from transcripts and catalogs to findings.

pub mod incremental;
pub mod output;
pub mod payload;
pub mod streams;
