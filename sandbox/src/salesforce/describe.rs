//! The global describe and the describe of one object.

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
pub fn object(object: &Object, settings: &Settings, version: &str) -> Value {
    let mut body = head(object, version);
    let seen = object.fields.iter().filter(|f| !settings.hides(&object.name, Some(&f.name)));
    let fields: Vec<Value> = seen.map(|f| field(object, f)).collect();
    let rest = json!({
        "actionOverrides": [],
        "childRelationships": [],
        "compactLayoutable": true,
        "defaultImplementation": null,
        "extendedBy": null,
        "extendsInterfaces": null,
        "fields": fields,
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
    Value::Object(body)
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

fn field(object: &Object, field: &Field) -> Value {
    let kind = field.kind;
    let is_text = !kind.is_bare() && !matches!(kind, Kind::Date | Kind::Datetime | Kind::Time);
    let length = match kind {
        Kind::Id | Kind::Reference => 18,
        _ if is_text => field.length,
        _ => 0,
    };
    let is_system = field.role != Role::Plain;
    let picks: Vec<Value> = if matches!(kind, Kind::Picklist | Kind::Multipicklist) {
        let pick = |value: &&str| json!({"active": true, "defaultValue": false, "label": value, "validFor": null, "value": value});
        PICKLIST.iter().map(pick).collect()
    } else {
        Vec::new()
    };
    let changeable = !is_system && !field.formula && !kind.is_compound();
    let mut body = json!({
        "aggregatable": field.filterable,
        "aiPredictionField": false,
        "autoNumber": field.name.starts_with("AutoNumber") || field.name == "CaseNumber",
        "byteLength": length * 3,
        "calculated": field.formula,
        "calculatedFormula": field.formula.then_some("1 + 1"),
        "cascadeDelete": false,
        "caseSensitive": false,
        "compoundFieldName": field.part_of,
        "controllerName": null,
        "createable": changeable,
        "custom": field.name.ends_with("__c") || field.name.ends_with("__s"),
        "defaultValue": (kind == Kind::Boolean).then_some(false),
        "defaultValueFormula": null,
        "defaultedOnCreate": is_system,
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "digits": if kind == Kind::Int { field.length } else { 0 },
        "displayLocationInDecimal": kind == Kind::Location,
        "encrypted": kind == Kind::Encrypted,
        "externalId": false,
        "extraTypeInfo": null,
        "filterable": field.filterable,
        "filteredLookupInfo": null,
        "formulaTreatNullNumberAsZero": false,
        "groupable": field.filterable && !kind.is_number(),
        "highScaleNumber": false,
        "htmlFormatted": field.name.starts_with("Html"),
    });
    let rest = json!({
        "idLookup": field.role == Role::Id,
        "inlineHelpText": null,
        "label": field.name.trim_end_matches("__c"),
        "length": length,
        "mask": (kind == Kind::Encrypted).then_some("asterisk"),
        "maskType": (kind == Kind::Encrypted).then_some("all"),
        "name": field.name,
        "nameField": field.name == "Name",
        "namePointing": false,
        "nillable": !field.required,
        "permissionable": changeable && !field.required,
        "picklistValues": picks,
        "polymorphicForeignKey": false,
        "precision": field.precision,
        "queryByDistance": kind == Kind::Location,
        "referenceTargetField": null,
        "referenceTo": field.target.iter().collect::<Vec<_>>(),
        "relationshipName": field.target.as_ref().map(|_| field.name.trim_end_matches("Id").trim_end_matches("__c")),
        "relationshipOrder": null,
        "restrictedDelete": false,
        "restrictedPicklist": false,
        "scale": field.scale,
        "searchPrefilterable": false,
        "soapType": kind.soap(),
        "sortable": field.sortable,
        "type": kind.name(),
        "unique": false,
        "updateable": changeable && object.stamp.is_some(),
        "writeRequiresMasterRead": false,
    });
    if let (Value::Object(body), Value::Object(rest)) = (&mut body, rest) {
        body.extend(rest);
    }
    body
}
