//! Paths below `/salesforce`, and what they ask for.

/// Oldest API version that answers, newest that exists.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 31..=67;

/// What a path below `/services/data/vXX.X` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name says what it is")]
pub enum Route<'a> {
    Resources,
    Objects,
    Object(&'a str),
    Describe(&'a str),
    Deleted(&'a str),
    Updated(&'a str),
    Record(&'a str, &'a str),
    Blob(&'a str, &'a str, &'a str),
    Query { all: bool },
    Page(&'a str),
    Limits,
    RecordCount,
    Composite,
    Batch,
    Jobs,
    Job(&'a str),
    Results(&'a str),
    ResultPages(&'a str),
}

/// The route of a path such as `/sobjects/Account/describe`.
pub fn find(path: &str) -> Option<Route<'_>> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    Some(match parts[..] {
        [] => Route::Resources,
        ["sobjects"] => Route::Objects,
        ["sobjects", object] => Route::Object(object),
        ["sobjects", object, "describe"] => Route::Describe(object),
        ["sobjects", object, "deleted"] => Route::Deleted(object),
        ["sobjects", object, "updated"] => Route::Updated(object),
        ["sobjects", object, id] => Route::Record(object, id),
        ["sobjects", object, id, field] => Route::Blob(object, id, field),
        ["query"] => Route::Query { all: false },
        ["queryAll"] => Route::Query { all: true },
        ["query" | "queryAll", locator] => Route::Page(locator),
        ["limits"] => Route::Limits,
        ["limits", "recordCount"] => Route::RecordCount,
        ["composite"] => Route::Composite,
        ["composite", "batch"] => Route::Batch,
        ["jobs", "query"] => Route::Jobs,
        ["jobs", "query", id] => Route::Job(id),
        ["jobs", "query", id, "results"] => Route::Results(id),
        ["jobs", "query", id, "resultPages"] => Route::ResultPages(id),
        _ => return None,
    })
}

/// The path from `/services/` on; hosts in front of it do not matter.
pub fn services(path: &str) -> &str {
    path.find("/services/").map_or(path, |at| &path[at..])
}

/// Version and rest of a path such as `/services/data/v62.0/query`.
pub fn versioned(path: &str) -> Option<(&str, &str)> {
    let rest = services(path).strip_prefix("/services/data/v")?;
    Some(rest.find('/').map_or((rest, ""), |at| rest.split_at(at)))
}

/// The path with ids replaced by `{id}`, for counters.
pub fn template(path: &str) -> String {
    let Some((version, rest)) = versioned(path) else { return services(path).to_owned() };
    let rest = match find(rest) {
        Some(Route::Page(_)) => {
            rest.rsplit_once('/').map_or("", |(head, _)| head).to_owned() + "/{id}"
        }
        Some(Route::Record(object, _)) => format!("/sobjects/{object}/{{id}}"),
        Some(Route::Blob(object, _, field)) => format!("/sobjects/{object}/{{id}}/{field}"),
        Some(Route::Job(_)) => "/jobs/query/{id}".to_owned(),
        Some(Route::Results(_)) => "/jobs/query/{id}/results".to_owned(),
        Some(Route::ResultPages(_)) => "/jobs/query/{id}/resultPages".to_owned(),
        _ => rest.to_owned(),
    };
    format!("/services/data/v{version}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_templates() {
        assert_eq!(find("/sobjects/Account/describe"), Some(Route::Describe("Account")));
        assert_eq!(find("/jobs/query/750/results"), Some(Route::Results("750")));
        assert_eq!(find("/nothing"), None);
        assert_eq!(versioned("/x.com/services/data/v62.0/query"), Some(("62.0", "/query")));
        assert_eq!(
            template("/services/data/v62.0/queryAll/0r8000-2000"),
            "/services/data/v62.0/queryAll/{id}"
        );
        assert_eq!(
            template("/services/data/v62.0/jobs/query/7501/results"),
            "/services/data/v62.0/jobs/query/{id}/results"
        );
        assert_eq!(
            template("/login.salesforce.com/services/oauth2/token"),
            "/services/oauth2/token"
        );
    }
}
