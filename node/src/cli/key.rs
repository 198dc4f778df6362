//! `nexus key`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use nexus_types::{Canonical, MemberId};
use serde_json::json;

use super::{Context, absent};
use crate::error::NodeError;
use crate::run::folder::json as document;
use crate::run::store::{read_bounded, write_atomic, write_secret};
use crate::vault::{
    MAX_PLAIN_BYTES, Own, Public, SealedFile, VaultError, found, hand_over, open, seal,
};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key that nobody holds: its members are made here, each with a file of its own
    Committee {
        /// The folder to make
        folder: PathBuf,
        /// Members; two thirds and one use the key together
        #[arg(long, value_name = "N", default_value_t = 4)]
        members: u16,
    },
    /// Seal a file under a committee's key
    Seal {
        /// The file
        file: PathBuf,
        /// The committee's folder; its `committee.key` is enough
        #[arg(long, value_name = "DIR")]
        committee: PathBuf,
        /// Where the sealed file goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Open a sealed file with the shares that are in the committee's folder
    Open {
        /// The sealed file
        file: PathBuf,
        /// The committee's folder
        #[arg(long, value_name = "DIR")]
        committee: PathBuf,
        /// Where the opened file goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Hand a committee's key to new members; what was sealed before still opens
    Reshare {
        /// The old committee's folder
        folder: PathBuf,
        /// The folder to make
        to: PathBuf,
        /// New members
        #[arg(long, value_name = "N", default_value_t = 4)]
        members: u16,
    },
}

const PUBLIC: &str = "committee.key";

pub(super) fn key(context: &Context, command: &KeyCommand) -> Result<(), NodeError> {
    match command {
        KeyCommand::Committee { folder, members } => {
            absent(folder)?;
            let (public, own) = found(*members)?;
            keep(context, folder, &public, &own)
        }
        KeyCommand::Seal { file, committee, out } => {
            let plain = read(file, MAX_PLAIN_BYTES)?;
            let sealed = seal(&load(committee)?, &plain)?;
            write(out, &sealed.encode()?)
        }
        KeyCommand::Open { file, committee, out } => {
            let public = load(committee)?;
            let bytes = read(file, SealedFile::MAX_BYTES as u64)?;
            let sealed = SealedFile::decode(&bytes).map_err(VaultError::from)?;
            let plain = open(&public, &shares(committee, &public)?, &sealed)?;
            write_secret(out, &plain).map_err(|error| NodeError::file(out, error))
        }
        KeyCommand::Reshare { folder, to, members } => {
            absent(to)?;
            let public = load(folder)?;
            let (next, own) = hand_over(&public, &shares(folder, &public)?, *members)?;
            keep(context, to, &next, &own)?;
            let old = folder.display();
            context.printer.warn(format_args!("erase the shares in {old}: they still open files"));
            Ok(())
        }
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, NodeError> {
    read_bounded(path, limit).map_err(|error| NodeError::file(path, error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    write_atomic(path, bytes).map_err(|error| NodeError::file(path, error))
}

fn share_path(folder: &Path, member: MemberId) -> PathBuf {
    folder.join(format!("member-{:03}.share", member.0))
}

fn keep(context: &Context, folder: &Path, public: &Public, own: &[Own]) -> Result<(), NodeError> {
    fs::create_dir_all(folder).map_err(|error| NodeError::file(folder, error))?;
    for own in own {
        let path = share_path(folder, own.member());
        write_secret(&path, &own.to_bytes()?).map_err(|error| NodeError::file(&path, error))?;
    }
    write(&folder.join(PUBLIC), &public.encode()?)?;
    tell(context, public)
}

fn tell(context: &Context, public: &Public) -> Result<(), NodeError> {
    let (committee, key) = public.check()?;
    let (members, need, epoch) = (committee.size(), key.threshold(), key.epoch());
    let printer = context.printer;
    if printer.json {
        printer.result_bytes(&document(&json!({
            "members": members, "threshold": need, "epoch": epoch, "simulated": ["committee"],
        })));
        return Ok(());
    }
    printer.note("all members were made on this machine: move each share to its holder");
    printer.result(format_args!("members\t{members}\nthreshold\t{need}\nepoch\t{epoch}\n"));
    Ok(())
}

fn load(folder: &Path) -> Result<Public, NodeError> {
    let bytes = read(&folder.join(PUBLIC), Public::MAX_BYTES as u64)?;
    Ok(Public::decode(&bytes).map_err(VaultError::from)?)
}

/// The shares of the members that are here.
fn shares(folder: &Path, public: &Public) -> Result<Vec<Own>, VaultError> {
    let (committee, _) = public.check()?;
    let paths = committee.members().map(|member| share_path(folder, member));
    let present = paths.filter_map(|path| read_bounded(&path, Own::MAX_BYTES as u64).ok());
    present.map(|bytes| Ok(Own::decode(&zeroize::Zeroizing::new(bytes))?)).collect()
}
