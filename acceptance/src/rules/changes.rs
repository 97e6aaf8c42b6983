//! U: what an upgrade must not break.

use super::rules;

rules! { CHANGES;
    U01 Error "configurations of the previous version stay valid"
        why "Saved connections stop at the upgrade."
        fix "Add optional properties only; keep names, types and enum values; or release a major version.";
    U02 Error "the catalog keeps what the previous version offered"
        why "Saved catalogs name streams, keys and cursors that are gone, and tables change under their readers."
        fix "Keep streams, fields, types, keys, cursors and sync modes; or release a major version.";
    U03 Error "a state of the previous version is taken over without loss"
        why "Every running connection hands the new version the state of the old one."
        fix "Read the older shape of the state.";
}
