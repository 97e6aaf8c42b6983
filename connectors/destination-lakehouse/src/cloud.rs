//! Object stores.

use std::collections::HashMap;
use std::sync::{Arc, Once};

use airbyte_protocol::{Edition, Error, Result, Secret};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;

use crate::config::{S3, Warehouse};
use crate::storage::Storage;

/// The storage of a warehouse in the cloud.
pub fn storage(warehouse: &Warehouse, edition: Edition) -> Result<Storage> {
    use_ring();
    match warehouse {
        Warehouse::S3(s3) => {
            check_endpoint(s3.endpoint.as_deref(), edition)?;
            let store = s3_builder(s3).build().map_err(unusable)?;
            Ok(Storage::objects(Arc::new(store), &format!("s3://{}", s3.bucket), &s3.prefix))
        }
        Warehouse::Gcs { bucket, prefix, service_account_key } => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            if let Some(key) = service_account_key {
                builder = builder.with_service_account_key(key.expose());
            }
            let store = builder.build().map_err(unusable)?;
            Ok(Storage::objects(Arc::new(store), &format!("gs://{bucket}"), prefix))
        }
        Warehouse::Azure { account, container, prefix, access_key } => {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_account(account)
                .with_container_name(container);
            if let Some(key) = access_key {
                builder = builder.with_access_key(key.expose());
            }
            let store = builder.build().map_err(unusable)?;
            let origin = format!("abfss://{container}@{account}.dfs.core.windows.net");
            Ok(Storage::objects(Arc::new(store), &origin, prefix))
        }
        Warehouse::Local { path } => Storage::local(path),
        Warehouse::FromCatalog {} => {
            Err(Error::config("The catalog gave no location for a table."))
        }
    }
}

/// The storage for a table at a location that a catalog chose, with the credentials that it gave in
/// its properties (names as in the Iceberg project's "REST catalog" and "FileIO" docs), and for what
/// is missing with those of the configuration.
pub fn storage_at(
    location: &str,
    vended: &HashMap<String, String>,
    warehouse: &Warehouse,
    edition: Edition,
) -> Result<Storage> {
    use_ring();
    let vended = |key: &str| vended.get(key).cloned();
    let (scheme, rest) = location.split_once("://").unwrap_or(("file", location));
    let bucket = rest.split('/').next().unwrap_or_default();
    let origin = format!("{scheme}://{bucket}");
    match scheme {
        "s3" | "s3a" | "s3n" => {
            let configured = match warehouse {
                Warehouse::S3(s3) => s3.clone(),
                _ => S3::default(),
            };
            let secret = |key: &str| vended(key).map(Secret::new);
            let key = secret("s3.access-key-id");
            let s3 = S3 {
                bucket: bucket.to_owned(),
                prefix: String::new(),
                region: vended("s3.region").or(vended("client.region")).or(configured.region),
                endpoint: vended("s3.endpoint").or(configured.endpoint),
                // A key and its parts come from one place.
                session_token: secret("s3.session-token")
                    .or(configured.session_token.filter(|_| key.is_none())),
                access_key_id: key.or(configured.access_key_id),
                secret_access_key: secret("s3.secret-access-key").or(configured.secret_access_key),
            };
            check_endpoint(s3.endpoint.as_deref(), edition)?;
            let store = s3_builder(&s3).build().map_err(unusable)?;
            Ok(Storage::objects(Arc::new(store), &origin, ""))
        }
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            match (vended("gcs.oauth2.token"), warehouse) {
                (Some(token), _) => builder = builder.with_bearer_token(token),
                (None, Warehouse::Gcs { service_account_key: Some(key), .. }) => {
                    builder = builder.with_service_account_key(key.expose());
                }
                _ => {}
            }
            Ok(Storage::objects(Arc::new(builder.build().map_err(unusable)?), &origin, ""))
        }
        "abfs" | "abfss" | "wasb" | "wasbs" => {
            let (container, host) = bucket.split_once('@').unwrap_or((bucket, ""));
            let account = host.split('.').next().unwrap_or_default();
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_account(account)
                .with_container_name(container);
            let token = vended(&format!("adls.sas-token.{host}")).or(vended("adls.sas-token"));
            match (token, warehouse) {
                (Some(token), _) => builder = builder.with_config(AzureConfigKey::SasKey, token),
                (None, Warehouse::Azure { access_key: Some(key), .. }) => {
                    builder = builder.with_access_key(key.expose());
                }
                _ => {}
            }
            Ok(Storage::objects(Arc::new(builder.build().map_err(unusable)?), &origin, ""))
        }
        "file" => Storage::local(rest),
        other => Err(Error::config(format!(
            "The catalog puts the table at {location}, and storage of the kind {other} is not supported."
        ))),
    }
}

fn s3_builder(s3: &S3) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(&s3.bucket);
    if let Some(region) = &s3.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = s3.endpoint.as_ref().filter(|endpoint| !endpoint.is_empty()) {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    for (key, value) in [
        (AmazonS3ConfigKey::AccessKeyId, &s3.access_key_id),
        (AmazonS3ConfigKey::SecretAccessKey, &s3.secret_access_key),
        (AmazonS3ConfigKey::Token, &s3.session_token),
    ] {
        if let Some(value) = value {
            builder = builder.with_config(key, value.expose());
        }
    }
    builder
}

/// A shared cloud allows neither plain HTTP nor private addresses.
fn check_endpoint(endpoint: Option<&str>, edition: Edition) -> Result<()> {
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    if is_plain && edition == Edition::Cloud {
        return Err(Error::config("The endpoint must be an address with https:// here."));
    }
    Ok(())
}

fn unusable(error: object_store::Error) -> Error {
    Error::config("The settings of the warehouse cannot be used. Check its names and keys.")
        .with_internal(error.to_string())
}

/// One library for TLS in the whole program.
fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only when there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
