//! What the fields of each kind of place say.

use std::path::PathBuf;

use std::net::Ipv6Addr;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::DestinationChooser;
use crate::engine::storage::{Address, AddressError, S3Address, SftpAddress, WebDavAddress};
use crate::i18n::gettext;
use crate::plan::{Destination, S3Account, SftpAccount};

/// A place, or the field that does not say enough and what is to be typed there.
pub(super) type Reading = Result<Destination, (gtk::Widget, String)>;

impl DestinationChooser {
    pub(super) fn folder(&self) -> Reading {
        let row = &*self.imp().folder_row;
        let problem = || row.problem().unwrap_or_default();
        let path = row.path().ok_or_else(|| (row.clone().upcast(), problem()))?;
        Ok(Destination::Folder { path })
    }

    pub(super) fn server(&self) -> Reading {
        let imp = self.imp();
        let host = imp.host_row.text().trim().to_owned();
        let wrong_host = |text: String| (imp.host_row.clone().upcast(), text);
        if host.is_empty() {
            return Err(wrong_host(gettext("Type the name of the server.")));
        }
        // People paste whole addresses.
        if host.contains("://") {
            return match Address::parse(host.as_ref()) {
                Ok(Address::Sftp(address)) => {
                    Ok(Destination::Sftp(SftpAccount { address, key_file: self.key_file()? }))
                }
                Err(AddressError::Password) => Err(wrong_host(gettext(
                    "Leave the password out of the address. You are asked for it if it is needed.",
                ))),
                _ => Err(wrong_host(gettext("This is not the address of an SSH server."))),
            };
        }
        let without_scope = host.trim_matches(['[', ']']).split('%').next().unwrap_or_default();
        let has_port = host.contains(':') && without_scope.parse::<Ipv6Addr>().is_err();
        if has_port || host.starts_with('-') || host.contains(['/', '@', ' ']) {
            return Err(wrong_host(gettext("Type only the name of the server, such as backup.example.org.")));
        }
        let port = match imp.port_row.text().trim() {
            "" => None,
            text => match text.parse() {
                Ok(port @ 1..) => Some(port),
                _ => {
                    let text = gettext("A port is a number between 1 and 65535. Most servers have 22.");
                    return Err((imp.port_row.clone().upcast(), text));
                }
            },
        };
        let user = Some(imp.user_row.text().trim().to_owned()).filter(|user| !user.is_empty());
        let path = imp.path_row.text().trim().to_owned();
        let address = SftpAddress { user, host, port, path };
        Ok(Destination::Sftp(SftpAccount { address, key_file: self.key_file()? }))
    }

    /// The private key that is to be used, if one is named.
    fn key_file(&self) -> Result<Option<PathBuf>, (gtk::Widget, String)> {
        let row = &*self.imp().key_file_row;
        if row.text().trim().is_empty() {
            return Ok(None);
        }
        let wrong = |text: String| (row.clone().upcast(), text);
        match row.path() {
            Some(path) if path.extension().is_some_and(|extension| extension == "pub") => Err(wrong(
                gettext("This is the public part. Choose the file of the same name without “.pub”."),
            )),
            Some(path) => Ok(Some(path)),
            None => Err(wrong(row.problem().unwrap_or_default())),
        }
    }

    pub(super) fn bucket(&self) -> Reading {
        let imp = self.imp();
        let text = |row: &adw::EntryRow| Some(row.text().trim().to_owned()).filter(|text| !text.is_empty());
        let required =
            |row: &adw::EntryRow, problem: String| text(row).ok_or((row.clone().upcast(), problem));
        let (endpoint, region) = match self.provider() {
            None => {
                let problem = gettext("Type the address of the service, such as https://s3.example.org.");
                let endpoint = required(&imp.endpoint_row, problem)?;
                if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
                    let problem = gettext("The address begins with https:// or http://.");
                    return Err((imp.endpoint_row.clone().upcast(), problem));
                }
                (Some(endpoint), text(&imp.region_row))
            }
            Some(form) => {
                let problem = gettext("Type the region of the bucket, as the provider shows it.");
                let region = required(&imp.region_row, problem)?;
                let endpoint =
                    Some(form.replace("{region}", &region)).filter(|endpoint| !endpoint.is_empty());
                (endpoint, Some(region))
            }
        };
        let bucket = required(&imp.bucket_row, gettext("Type the name of the bucket."))?;
        if bucket.contains('/') {
            let problem =
                gettext("The name of a bucket has no slash. The folder in it has a field of its own.");
            return Err((imp.bucket_row.clone().upcast(), problem));
        }
        let key_id = required(&imp.key_id_row, gettext("Type the ID of the access key."))?;
        let address = S3Address {
            bucket,
            prefix: imp.prefix_row.text().trim().trim_matches('/').to_owned(),
            path_style: self.provider().is_none() && imp.path_style_row.is_active(),
            endpoint,
            region,
            storage_class: None,
        };
        Ok(Destination::S3(S3Account { address, key_id }))
    }

    pub(super) fn network_folder(&self) -> Reading {
        let row = &*self.imp().network_row;
        row.address().map(Destination::Network).map_err(|problem| (row.clone().upcast(), problem))
    }

    pub(super) fn web_folder(&self) -> Reading {
        let imp = self.imp();
        let wrong = |text: String| (imp.dav_url_row.clone().upcast(), text);
        let url = imp.dav_url_row.text().trim().to_owned();
        if url.is_empty() {
            return Err(wrong(gettext("Type the address of the folder, as the server shows it.")));
        }
        let user = Some(imp.dav_user_row.text().trim().to_owned()).filter(|user| !user.is_empty());
        match Address::parse(url.as_ref()) {
            Ok(Address::WebDav(address)) if address.url().is_ok() => {
                Ok(Destination::WebDav(WebDavAddress { user: user.or(address.user.clone()), ..address }))
            }
            Err(AddressError::Password) => Err(wrong(gettext(
                "Leave the password out of the address. You are asked for it if it is needed.",
            ))),
            _ => {
                Err(wrong(gettext("The address begins with https://, as in https://cloud.example.org/dav.")))
            }
        }
    }
}
