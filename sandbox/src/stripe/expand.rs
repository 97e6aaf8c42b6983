//! Checks of `expand[]`: what may be expanded follows from the shapes.

use super::context::Ctx;
use super::error::Error;
use super::query::Query;
use super::resource::Res;
use super::shape::ExpandKind;

/// Expansions may go that many levels deep.
const DEEPEST: usize = 4;

/// The paths of a list request, without their `data.`.
pub fn for_list<'q>(ctx: &Ctx<'_>, query: &'q Query, kinds: &[Res]) -> Result<Vec<&'q str>, Error> {
    let path = |asked: &'q str| asked.strip_prefix("data.").ok_or_else(|| refused(asked, asked));
    checked(ctx, query, kinds, path)
}

/// The paths of a request for one object.
pub fn for_object<'q>(
    ctx: &Ctx<'_>,
    query: &'q Query,
    kinds: &[Res],
) -> Result<Vec<&'q str>, Error> {
    checked(ctx, query, kinds, Ok)
}

fn checked<'q>(
    ctx: &Ctx<'_>,
    query: &'q Query,
    kinds: &[Res],
    path: impl Fn(&'q str) -> Result<&'q str, Error>,
) -> Result<Vec<&'q str>, Error> {
    let mut paths = Vec::new();
    for asked in query.all("expand") {
        let path = path(asked)?;
        if !kinds.iter().any(|res| is_expandable(ctx, *res, path, 1)) {
            return Err(refused(asked, path));
        }
        paths.push(path);
    }
    Ok(paths)
}

fn refused(asked: &str, path: &str) -> Error {
    let field = path.rsplit('.').next().unwrap_or(path);
    Error::invalid(400, format!("This property cannot be expanded ({field}): {asked}"))
        .param("expand[]")
}

fn is_expandable(ctx: &Ctx<'_>, res: Res, path: &str, depth: usize) -> bool {
    if depth > DEEPEST {
        return false;
    }
    ctx.shape(res).expandables.iter().any(|field| {
        let Some(rest) = path.strip_prefix(&field.path) else { return false };
        if rest.is_empty() {
            return field.kind != ExpandKind::Embedded;
        }
        let Some(mut rest) = rest.strip_prefix('.') else { return false };
        if field.kind == ExpandKind::List {
            match rest.strip_prefix("data") {
                Some("") => return true,
                Some(below) if below.starts_with('.') => rest = &below[1..],
                _ => return false,
            }
        }
        field.targets.iter().any(|target| is_expandable(ctx, *target, rest, depth + 1))
    })
}
