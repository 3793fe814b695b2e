//! Where backups are: an address, and what only options can say of it.

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::limits::LimitOptions;
use souvenir::engine::Result;
use souvenir::engine::crypto::Secret;
use souvenir::engine::job::Job;
use souvenir::engine::storage::{Address, Backoff, Credentials, Limits, Storage};

/// Where backups are.
#[derive(Debug, Args)]
pub struct Destination {
    /// Where the backups are: a folder, or a URL such as sftp://user@host/folder, s3://bucket/folder or webdavs://user@host/folder. The folder on
    /// a server is relative to where a sign-in ends up, after a second slash absolute. A password is asked for, or
    /// taken from FTP_PASSWORD in the environment; who signs in to an object store, from AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY, or from the files of Amazon's tools
    #[arg(value_name = "DEST", value_parser = OsStringValueParser::new().try_map(|text| Address::parse(&text)), value_hint = ValueHint::DirPath)]
    address: Address,

    /// What its URL does not say
    #[command(flatten)]
    store: StoreOptions,

    /// How fast it may go to and from there
    #[command(flatten)]
    limits: LimitOptions,
}

impl Destination {
    /// The address as it was typed, with what the options add to it.
    pub fn address(&self) -> Address {
        self.store.complete(&self.address)
    }

    /// The place, ready to be read and written.
    pub fn open(&self, job: &Job) -> Result<Box<dyn Storage>> {
        self.store.open(&self.address, &self.limits.limits(), job)
    }
}

/// What the URL of an object store does not say.
#[derive(Debug, Args)]
#[command(next_help_heading = "Object stores")]
pub struct StoreOptions {
    /// URL of the service, if it is not Amazon's: https://s3.example.org. AWS_ENDPOINT_URL tells it too
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    s3_endpoint_url: Option<String>,

    /// The region of the bucket, such as eu-central-1. AWS_REGION tells it too
    #[arg(long, value_name = "NAME")]
    s3_region_name: Option<String>,

    /// The class in which volumes are stored, such as STANDARD_IA
    #[arg(long, value_name = "CLASS")]
    s3_storage_class: Option<String>,

    /// The service has no host name of its own for each bucket
    #[arg(long)]
    s3_path_style: bool,
}

impl StoreOptions {
    /// The address as it was typed, with what the options add to it.
    fn complete(&self, address: &Address) -> Address {
        let mut address = address.clone();
        if let Address::S3(store) = &mut address {
            let from_environment = || {
                ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().find_map(|name| std::env::var(name).ok())
            };
            store.endpoint = self.s3_endpoint_url.clone().or_else(from_environment);
            store.region.clone_from(&self.s3_region_name);
            store.storage_class.clone_from(&self.s3_storage_class);
            store.path_style = self.s3_path_style;
        }
        address
    }

    /// A place, ready to be read and written, and held back by limits.
    pub fn open(&self, address: &Address, limits: &Limits, job: &Job) -> Result<Box<dyn Storage>> {
        let credentials = Credentials {
            key_id: std::env::var("AWS_ACCESS_KEY_ID").ok(),
            session_token: std::env::var("AWS_SESSION_TOKEN").ok().map(Secret::from),
            ..Credentials::default()
        };
        Ok(limits.hold(self.complete(address).open(&credentials, Backoff::default(), job)?, job))
    }
}

/// What the URL of an object store does not say, where backups go from one service to another.
#[derive(Debug, Args)]
#[command(next_help_heading = "Object stores")]
pub struct TargetStoreOptions {
    /// URL of TO's service, if it is another than FROM's. With it, the options above are about FROM alone
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, requires = "to_s3_access_key_id")]
    to_s3_endpoint_url: Option<String>,

    /// The access key for TO. Its secret is asked for, or taken from TO_AWS_SECRET_ACCESS_KEY
    #[arg(long, value_name = "ID", requires = "to_s3_endpoint_url")]
    to_s3_access_key_id: Option<String>,

    /// The region of TO's bucket
    #[arg(long, value_name = "NAME", requires = "to_s3_endpoint_url")]
    to_s3_region_name: Option<String>,

    /// The class in which TO stores volumes
    #[arg(long, value_name = "CLASS", requires = "to_s3_endpoint_url")]
    to_s3_storage_class: Option<String>,

    /// TO's service has no host name of its own for each bucket
    #[arg(long, requires = "to_s3_endpoint_url")]
    to_s3_path_style: bool,
}

impl TargetStoreOptions {
    /// A place, ready to be read and written, and held back by limits; none if TO is like FROM. `secret` is that
    /// of the access key.
    pub fn open(
        &self,
        address: &Address,
        secret: Option<Secret>,
        limits: &Limits,
        job: &Job,
    ) -> Result<Option<Box<dyn Storage>>> {
        let Some(endpoint) = &self.to_s3_endpoint_url else { return Ok(None) };
        let mut address = address.clone();
        if let Address::S3(store) = &mut address {
            store.endpoint = Some(endpoint.clone());
            store.region.clone_from(&self.to_s3_region_name);
            store.storage_class.clone_from(&self.to_s3_storage_class);
            store.path_style = self.to_s3_path_style;
        }
        let key_id = self.to_s3_access_key_id.clone();
        let credentials = Credentials { secret, key_id, ..Credentials::default() };
        Ok(Some(limits.hold(address.open(&credentials, Backoff::default(), job)?, job)))
    }
}
