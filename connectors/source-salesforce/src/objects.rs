//! Which objects are streams.

use crate::config::{Comparison, Config, Criterion};

/// Objects that queries refuse, or answer only with a filter of a special kind: by the
/// restrictions that the object reference names, and by experience.
const NOT_QUERYABLE: &[&str] = &[
    "AIPredictionEvent",
    "ActivityHistory",
    "ActivityMetric",
    "ActivityMetricRollup",
    "AggregateResult",
    "Announcement",
    "ApiAnomalyEvent",
    "ApiEventStream",
    "AppTabMember",
    "AssetTokenEvent",
    "AsyncOperationEvent",
    "AsyncOperationStatus",
    "AttachedContentDocument",
    "AttachedContentNote",
    "BatchApexErrorEvent",
    "BulkApiResultEvent",
    "CollaborationGroupRecord",
    "ColorDefinition",
    "CombinedAttachment",
    "ConcurLongRunApexErrEvent",
    "ContentBody",
    "ContentFolderItem",
    "ContentFolderMember",
    "CredentialStuffingEvent",
    "DataStatistics",
    "DataType",
    "DatacloudAddress",
    "DatacloudDandBCompany",
    "EmailStatus",
    "EntityParticle",
    "FeedLike",
    "FeedSignal",
    "FeedTrackedChange",
    "FieldDefinition",
    "FieldHistoryArchive",
    "FlexQueueItem",
    "FlowExecutionErrorEvent",
    "FlowVariableView",
    "FlowVersionView",
    "FolderedContentDocument",
    "IconDefinition",
    "IdeaComment",
    "LightningUriEventStream",
    "ListViewChartInstance",
    "ListViewEventStream",
    "LoginAsEventStream",
    "LoginEventStream",
    "LogoutEventStream",
    "LookedUpFromActivity",
    "Name",
    "NetworkUserHistoryRecent",
    "NoteAndAttachment",
    "OpenActivity",
    "OrgLifecycleNotification",
    "OutgoingEmail",
    "OutgoingEmailRelation",
    "OwnedContentDocument",
    "OwnerChangeOptionInfo",
    "PicklistValueInfo",
    "PlatformAction",
    "PlatformStatusAlertEvent",
    "ProcessExceptionEvent",
    "ProcessInstanceHistory",
    "QuoteTemplateRichTextData",
    "RelationshipDomain",
    "RelationshipInfo",
    "RemoteKeyCalloutEvent",
    "ReportAnomalyEvent",
    "ReportEventStream",
    "SearchLayout",
    "SessionHijackingEvent",
    "SiteDetail",
    "UriEventStream",
    "UserEntityAccess",
    "UserFieldAccess",
    "UserRecordAccess",
    "Vote",
];

/// Objects that the Bulk API refuses. For others that it refuses it says so when asked.
const NOT_IN_BULK: &[&str] = &[
    "AcceptedEventRelation",
    "AccountBrandShare",
    "AccountFeed",
    "AssetFeed",
    "Attachment",
    "CaseStatus",
    "CaseTeamMember",
    "CaseTeamRole",
    "CaseTeamTemplate",
    "CaseTeamTemplateMember",
    "CaseTeamTemplateRecord",
    "ChannelProgramLevelShare",
    "ContractStatus",
    "DeclinedEventRelation",
    "EventWhoRelation",
    "FieldSecurityClassification",
    "KnowledgeArticle",
    "KnowledgeArticleVersion",
    "KnowledgeArticleVersionHistory",
    "KnowledgeArticleViewStat",
    "KnowledgeArticleVoteStat",
    "OrderStatus",
    "PartnerRole",
    "RecentlyViewed",
    "ServiceAppointmentStatus",
    "ShiftStatus",
    "SolutionStatus",
    "TaskPriority",
    "TaskStatus",
    "TaskWhoRelation",
    "UndecidedEventRelation",
    "WorkOrderLineItemStatus",
    "WorkOrderStatus",
    "WorkStepStatus",
];

/// Objects that cannot be filtered by their cursor, whatever their describe says.
const NO_CURSOR_FILTER: &[&str] = &[
    "ActivityFieldHistory",
    "ApiEvent",
    "BulkApiResultEventStore",
    "ContentDocumentLink",
    "EmbeddedServiceDetail",
    "EmbeddedServiceLabel",
    "FormulaFunction",
    "FormulaFunctionAllowedType",
    "FormulaFunctionCategory",
    "IdentityProviderEventStore",
    "IdentityVerificationEvent",
    "LightningUriEvent",
    "ListViewEvent",
    "LoginAsEvent",
    "LoginEvent",
    "LogoutEvent",
    "Publisher",
    "RecordActionHistory",
    "ReportEvent",
    "TabDefinition",
    "UriEvent",
];

/// Whether queries can read an object at all.
pub fn is_readable(name: &str) -> bool {
    !name.ends_with("ChangeEvent") && NOT_QUERYABLE.binary_search(&name).is_err()
}

/// Whether Bulk jobs may be tried with an object.
pub fn is_in_bulk(name: &str) -> bool {
    NOT_IN_BULK.binary_search(&name).is_err()
}

/// Whether an object can be filtered by its cursor.
pub fn is_filtered_by_cursor(name: &str) -> bool {
    NO_CURSOR_FILTER.binary_search(&name).is_err()
}

/// Whether the configuration wants an object.
pub fn is_wanted(config: &Config, name: &str) -> bool {
    let fits = |globs: &[String]| globs.iter().any(|glob| fits_glob(glob, name));
    fits_criteria(&config.streams_criteria, config.streams_criteria_union, name)
        && (config.include_streams.is_empty() || fits(&config.include_streams))
        && !fits(&config.exclude_streams)
}

fn fits_criteria(criteria: &[Criterion], is_union: bool, name: &str) -> bool {
    let name = name.to_lowercase();
    if is_union {
        return criteria.is_empty() || criteria.iter().any(|criterion| holds(criterion, &name));
    }
    let (negative, positive): (Vec<_>, Vec<_>) =
        criteria.iter().partition(|criterion| is_negative(criterion.criteria));
    (positive.is_empty() || positive.iter().any(|criterion| holds(criterion, &name)))
        && negative.iter().all(|criterion| holds(criterion, &name))
}

fn is_negative(comparison: Comparison) -> bool {
    use Comparison::*;
    matches!(comparison, StartsNotWith | EndsNotWith | NotContains | NotExacts)
}

fn holds(criterion: &Criterion, name: &str) -> bool {
    let value = criterion.value.to_lowercase();
    match criterion.criteria {
        Comparison::StartsWith => name.starts_with(&value),
        Comparison::EndsWith => name.ends_with(&value),
        Comparison::Contains => name.contains(&value),
        Comparison::Exacts => name == value,
        Comparison::StartsNotWith => !name.starts_with(&value),
        Comparison::EndsNotWith => !name.ends_with(&value),
        Comparison::NotContains => !name.contains(&value),
        Comparison::NotExacts => name != value,
    }
}

/// Whether a name fits a pattern in which `*` stands for any text. Case does not matter.
fn fits_glob(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.trim().to_lowercase(), name.to_lowercase());
    let Some((first, rest)) = glob.split_once('*') else { return glob == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match name.find(piece) {
            Some(at) => name = &name[at + piece.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::test_config;

    #[test]
    fn lists_are_sorted() {
        for list in [NOT_QUERYABLE, NOT_IN_BULK, NO_CURSOR_FILTER] {
            assert!(list.is_sorted(), "{list:?}");
        }
        assert!(
            !is_readable("AccountChangeEvent") && !is_readable("Vote") && is_readable("Account")
        );
    }

    fn wanted(settings: serde_json::Value) -> Vec<&'static str> {
        let config = test_config(settings);
        let names = ["Account", "AccountHistory", "Contact", "Acme__Order__c"];
        names.into_iter().filter(|name| is_wanted(&config, name)).collect()
    }

    #[test]
    fn criteria_exclude_as_they_say() {
        let criteria = |list: serde_json::Value| json!({ "streams_criteria": list });
        assert_eq!(wanted(json!({})).len(), 4);
        assert_eq!(
            wanted(criteria(json!([
                { "criteria": "not contains", "value": "history" },
                { "criteria": "ends not with", "value": "__C" }
            ]))),
            ["Account", "Contact"]
        );
        assert_eq!(
            wanted(criteria(json!([
                { "value": "ACCOUNT" }, { "criteria": "exacts", "value": "contact" },
                { "criteria": "ends not with", "value": "History" }
            ]))),
            ["Account", "Contact"]
        );
        let union = json!({ "streams_criteria_union": true, "streams_criteria": [
            { "criteria": "not contains", "value": "history" }, { "criteria": "not contains", "value": "contact" }
        ] });
        assert_eq!(wanted(union).len(), 4);
    }

    #[test]
    fn globs() {
        assert_eq!(
            wanted(json!({ "include_streams": ["acme__*", "contact"] })),
            ["Contact", "Acme__Order__c"]
        );
        assert_eq!(
            wanted(json!({ "exclude_streams": ["*History", "A*__*c"] })),
            ["Account", "Contact"]
        );
        assert!(!fits_glob("a*ab", "ab") && fits_glob("a*b", "ab") && fits_glob("*", ""));
    }
}
