//! Object shapes: JSON templates compiled once into steps that write straight into a buffer.
//!
//! A template (under `shapes/`) is the JSON of one object. Its strings are literal unless they
//! start with one of these signs:
//!
//! | form | writes |
//! |---|---|
//! | `$id` `$created` `$livemode` `$account` | the object's own id, creation time, mode, account |
//! | `$time N` | creation time plus N seconds |
//! | `$int LO HI`, `$bool PERCENT`, `$pick a\|#5\|null` | a number, a truth value, one of the words (`#` for numbers) |
//! | `$words N` `$name` `$email` `$city` `$line` `$zip` `$hex N` `$digits N` `$alnum N` | text |
//! | `$metadata` | a metadata object, now and then a very large one |
//! | `$fmt text {$hex 8} text` | text with generated parts |
//! | `$use NAME` | the template NAME in this place (a fragment such as an address) |
//! | `=NAME` | a fact of the object, computed in `facts/` |
//! | `=NAME:RES\|RES` | a fact that names an object (or a list of them): its id, or itself if expanded |
//! | `=NAME:RES!` | the same, always as the whole object |
//! | `%RES\|RES` | the list of the object's children of those resources, cut to 10 |
//!
//! A key may end in `|` and flags: `<` only before the version 2025-03-31.basil, `>` only from
//! then on, `*` only when expanded, `?NAME` only when that fact is true. An object with a key `?`
//! is null unless that fact (`=NAME`) holds or that chance (a number, percent) comes true; an array
//! that starts with `?NAME` is empty unless that fact holds.

mod compile;
mod render;
pub mod text;

pub use render::{Expand, Obj, Val, Vars, run};

use super::resource::Res;
use super::version::Era;

/// One step of writing an object.
#[derive(Debug)]
pub enum Step {
    Lit(Vec<u8>),
    Id,
    Time(i64),
    Livemode,
    Account,
    Int { low: i64, high: i64, salt: u64 },
    Bool { percent: u64, salt: u64 },
    Pick { choices: Vec<String>, salt: u64 },
    Text { kind: text::Kind, salt: u64 },
    Metadata { salt: u64 },
    Fact(String),
    Reference { fact: String, path: String, embed: bool },
    List { kinds: Vec<Res>, path: String },
    When { condition: Condition, steps: Vec<Step>, otherwise: &'static [u8] },
}

/// When a part of a shape is written.
#[derive(Debug)]
pub enum Condition {
    Fact(String),
    Chance { percent: u64, salt: u64 },
    Expanded(String),
}

/// Something in a shape that `expand[]` may name.
#[derive(Debug)]
pub struct Expandable {
    /// Dotted path inside the object.
    pub path: String,
    /// What stands there.
    pub kind: ExpandKind,
    /// The resources that it may refer to.
    pub targets: Vec<Res>,
}

/// How an expandable field stands in its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpandKind {
    /// An id that becomes an object.
    Reference,
    /// An object that is always whole; only what is inside it can be expanded.
    Embedded,
    /// A list of children.
    List,
    /// A plain value that is left out unless asked for.
    Plain,
}

/// The compiled shape of a kind of object in one era.
#[derive(Debug, Default)]
pub struct Shape {
    pub steps: Vec<Step>,
    pub expandables: Vec<Expandable>,
}

/// The shapes of all kinds of objects, in both eras.
#[derive(Debug)]
pub struct Shapes(Vec<[Shape; 2]>);

impl Shapes {
    /// Compiles every template; a mistake in one is reported by name (and caught by a test).
    pub fn compile() -> Result<Self, String> {
        compile::all().map(Self)
    }

    /// The shape of a kind of object.
    pub fn get(&self, res: Res, era: Era) -> &Shape {
        &self.0[res as usize][usize::from(era == Era::Basil)]
    }
}

#[cfg(test)]
mod tests;
