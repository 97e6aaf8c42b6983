//! What is left of a deleted object.

use super::context::Ctx;
use super::resource::{Key, Res};

/// Writes `{id, object, deleted: true}`.
pub fn write(ctx: &Ctx<'_>, res: Res, key: Key, out: &mut Vec<u8>) {
    let id = ctx.world.id(res, key);
    let object = res.def().object;
    let stub = format!("{{\"id\":\"{id}\",\"object\":\"{object}\",\"deleted\":true}}");
    out.extend_from_slice(stub.as_bytes());
}
