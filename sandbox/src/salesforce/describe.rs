//! The global describe and the describe of one object.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::org::Org;
use super::schema::{Field, Object, Role};
use super::settings::Settings;
use super::text::PICKLIST;

/// The body of `/sobjects`.
pub fn global(org: &Org, settings: &Settings, version: &str) -> Value {
    let seen = org.objects.iter().filter(|o| !settings.hides(&o.name, None));
    let objects: Vec<Value> = seen.map(|o| Value::Object(head(o, version))).collect();
    json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})
}

/// The body of `/sobjects/{object}`.
pub fn basic(object: &Object, version: &str) -> Value {
    json!({"objectDescribe": head(object, version), "recentItems": []})
}

/// The body of `/sobjects/{object}/describe`.
pub fn object(object: &Object, settings: &Settings, version: &str) -> Vec<u8> {
    let mut body = head(object, version);
    let rest = json!({
        "actionOverrides": [],
        "childRelationships": [],
        "compactLayoutable": true,
        "defaultImplementation": null,
        "extendedBy": null,
        "extendsInterfaces": null,
        "implementedBy": null,
        "implementsInterfaces": null,
        "listviewable": null,
        "lookupLayoutable": null,
        "namedLayoutInfos": [],
        "networkScopeFieldName": null,
        "recordTypeInfos": [{
            "active": true, "available": true, "defaultRecordTypeMapping": true,
            "developerName": "Master", "master": true, "name": "Master",
            "recordTypeId": "012000000000000AAA",
            "urls": {"layout": format!("/services/data/v{version}/sobjects/{}/describe/layouts/012000000000000AAA", object.name)},
        }],
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [{"label": format!("All {}", plural(&object.name)), "name": "everything"}],
    });
    if let Value::Object(rest) = rest {
        body.extend(rest);
    }
    // The fields are most of the body; as a tree they would be slow.
    let mut out = Value::Object(body).to_string().into_bytes();
    out.pop();
    out.extend_from_slice(b",\"fields\":[");
    let seen = object.fields.iter().filter(|f| !settings.hides(&object.name, Some(&f.name)));
    for (at, one) in seen.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        field(object, one, &mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

fn plural(name: &str) -> String {
    format!("{}s", name.trim_end_matches("__c"))
}

fn head(object: &Object, version: &str) -> Map<String, Value> {
    let (name, normal) = (&object.name, object.queryable);
    let url = format!("/services/data/v{version}/sobjects/{name}");
    let changeable = normal && object.stamp.is_some();
    let head = json!({
        "activateable": false,
        "associateEntityType": null,
        "associateParentEntity": null,
        "createable": changeable,
        "custom": object.custom(),
        "customSetting": false,
        "deepCloneable": false,
        "deletable": changeable,
        "deprecatedAndHidden": false,
        "feedEnabled": false,
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "keyPrefix": object.prefix,
        "label": name.trim_end_matches("__c"),
        "labelPlural": plural(name),
        "layoutable": changeable,
        "mergeable": object.fields.iter().any(|f| f.role == Role::Master),
        "mruEnabled": changeable,
        "name": name,
        "queryable": object.queryable,
        "replicateable": replicateable(object),
        "retrieveable": normal,
        "searchable": changeable,
        "triggerable": changeable,
        "undeletable": changeable && object.deleted.is_some(),
        "updateable": changeable,
        "urls": {
            "compactLayouts": format!("{url}/describe/compactLayouts"),
            "rowTemplate": format!("{url}/{{ID}}"),
            "describe": format!("{url}/describe"),
            "sobject": url,
        },
    });
    if let Value::Object(head) = head { head } else { Map::new() }
}

/// Whether `/deleted` works for the object.
pub fn replicateable(object: &Object) -> bool {
    object.queryable && object.deleted.is_some()
}

/// A value of a picklist.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pick {
    active: bool,
    default_value: bool,
    label: &'static str,
    valid_for: (),
    value: &'static str,
}

/// A field as describe has it, written without a tree: objects have many.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    aggregatable: bool,
    ai_prediction_field: bool,
    auto_number: bool,
    byte_length: u32,
    calculated: bool,
    calculated_formula: Option<&'a str>,
    cascade_delete: bool,
    case_sensitive: bool,
    compound_field_name: Option<&'a str>,
    controller_name: (),
    createable: bool,
    custom: bool,
    default_value: Option<bool>,
    default_value_formula: (),
    defaulted_on_create: bool,
    dependent_picklist: bool,
    deprecated_and_hidden: bool,
    digits: u32,
    display_location_in_decimal: bool,
    encrypted: bool,
    external_id: bool,
    extra_type_info: (),
    filterable: bool,
    filtered_lookup_info: (),
    formula_treat_null_number_as_zero: bool,
    groupable: bool,
    high_scale_number: bool,
    html_formatted: bool,
    id_lookup: bool,
    inline_help_text: (),
    label: &'a str,
    length: u32,
    mask: Option<&'a str>,
    mask_type: Option<&'a str>,
    name: &'a str,
    name_field: bool,
    name_pointing: bool,
    nillable: bool,
    permissionable: bool,
    picklist_values: &'a [Pick],
    polymorphic_foreign_key: bool,
    precision: u32,
    query_by_distance: bool,
    reference_target_field: (),
    reference_to: &'a [String],
    relationship_name: Option<&'a str>,
    relationship_order: (),
    restricted_delete: bool,
    restricted_picklist: bool,
    scale: u32,
    search_prefilterable: bool,
    soap_type: &'a str,
    sortable: bool,
    r#type: &'a str,
    unique: bool,
    updateable: bool,
    write_requires_master_read: bool,
}

fn field(object: &Object, field: &Field, out: &mut Vec<u8>) {
    let kind = field.kind;
    let is_text = !kind.is_bare() && !matches!(kind, Kind::Date | Kind::Datetime | Kind::Time);
    let length = match kind {
        Kind::Id | Kind::Reference => 18,
        _ if is_text => field.length,
        _ => 0,
    };
    let is_system = field.role != Role::Plain;
    let picks = PICKLIST.map(|value| Pick {
        active: true,
        default_value: false,
        label: value,
        valid_for: (),
        value,
    });
    let has_picks = matches!(kind, Kind::Picklist | Kind::Multipicklist);
    let picks = if has_picks { &picks[..] } else { &[] };
    let changeable = !is_system && !field.formula && !kind.is_compound();
    let relationship = field.name.trim_end_matches("Id").trim_end_matches("__c");
    let described = Described {
        aggregatable: field.filterable,
        ai_prediction_field: false,
        auto_number: field.name.starts_with("AutoNumber") || field.name == "CaseNumber",
        byte_length: length * 3,
        calculated: field.formula,
        calculated_formula: field.formula.then_some("1 + 1"),
        cascade_delete: false,
        case_sensitive: false,
        compound_field_name: field.part_of.as_deref(),
        controller_name: (),
        createable: changeable,
        custom: field.name.ends_with("__c") || field.name.ends_with("__s"),
        default_value: (kind == Kind::Boolean).then_some(false),
        default_value_formula: (),
        defaulted_on_create: is_system,
        dependent_picklist: false,
        deprecated_and_hidden: false,
        digits: if kind == Kind::Int { field.length } else { 0 },
        display_location_in_decimal: kind == Kind::Location,
        encrypted: kind == Kind::Encrypted,
        external_id: false,
        extra_type_info: (),
        filterable: field.filterable,
        filtered_lookup_info: (),
        formula_treat_null_number_as_zero: false,
        groupable: field.filterable && !kind.is_number(),
        high_scale_number: false,
        html_formatted: field.name.starts_with("Html"),
        id_lookup: field.role == Role::Id,
        inline_help_text: (),
        label: field.name.trim_end_matches("__c"),
        length,
        mask: (kind == Kind::Encrypted).then_some("asterisk"),
        mask_type: (kind == Kind::Encrypted).then_some("all"),
        name: &field.name,
        name_field: field.name == "Name",
        name_pointing: false,
        nillable: !field.required,
        permissionable: changeable && !field.required,
        picklist_values: picks,
        polymorphic_foreign_key: false,
        precision: field.precision,
        query_by_distance: kind == Kind::Location,
        reference_target_field: (),
        reference_to: field.target.as_slice(),
        relationship_name: field.target.as_ref().map(|_| relationship),
        relationship_order: (),
        restricted_delete: false,
        restricted_picklist: false,
        scale: field.scale,
        search_prefilterable: false,
        soap_type: kind.soap(),
        sortable: field.sortable,
        r#type: kind.name(),
        unique: false,
        updateable: changeable && object.stamp.is_some(),
        write_requires_master_read: false,
    };
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, &described);
}
