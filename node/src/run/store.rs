//! A [`Store`] in a folder: one file per key, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use nexus_types::limits::MAX_MESSAGE_BYTES;
use nexus_types::{Digest, Store, StoreError, check_key};

const DIGEST_BYTES: usize = 32;
const DOMAIN: &str = "cipher-nexus stored value v1";
/// The longest value that is read: as long as the longest checkpoint.
const MAX_VALUE_BYTES: u64 = 66 * MAX_MESSAGE_BYTES as u64;

/// A folder of values, each behind its BLAKE3 checksum and for the eyes of this user alone: what
/// must survive a crash holds keys.
#[derive(Clone, Debug)]
pub struct DirStore {
    folder: PathBuf,
}

impl DirStore {
    /// The store in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Device`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder)
            .map_err(|source| device(&folder.display().to_string(), source))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The first half of [`Store::put`]: after it a crash still leaves the old value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn stage(&mut self, key: &str, value: &[u8]) -> Result<Staged, StoreError> {
        check_key(key)?;
        let digest = Digest::of(DOMAIN, value).0;
        let staged = stage(&self.folder.join(key), [&digest, value], &secret());
        staged.map_err(|source| device(key, source))
    }
}

fn device(key: &str, source: io::Error) -> StoreError {
    StoreError::Device { key: key.to_owned(), source }
}

/// Bytes that are on the device, and in no file that anybody reads yet.
#[must_use = "without `commit` the old file stays"]
#[derive(Debug)]
pub struct Staged {
    partial: PathBuf,
    target: PathBuf,
}

impl Staged {
    /// Replaces the file, if there is one, and returns when that is on the device too.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn commit(self) -> io::Result<()> {
        fs::rename(&self.partial, &self.target)?;
        sync_folder(self.target.parent().unwrap_or(Path::new(".")))
    }
}

/// Writes `parts` beside `path`, onto the device; [`Staged::commit`] puts them in its place.
fn stage<const N: usize>(
    path: &Path,
    parts: [&[u8]; N],
    options: &OpenOptions,
) -> io::Result<Staged> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".tmp");
    let partial = PathBuf::from(partial);
    // Never write through something that lies there already.
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = options.open(&partial)?;
    parts.into_iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()?;
    Ok(Staged { partial, target: path.to_owned() })
}

/// A new file for the eyes of this user alone.
fn secret() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes `bytes` to `path` so that after a crash the file is the old one or the new one, and
/// is on the device when this returns.
///
/// # Errors
/// What the operating system says.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    stage(path, [bytes], File::options().write(true).create_new(true))?.commit()
}

/// As [`write_atomic`], for the eyes of this user alone.
///
/// # Errors
/// What the operating system says.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    stage(path, [bytes], &secret())?.commit()
}

/// Reads a regular file of at most `limit` bytes. Pipes and devices are refused: they could keep
/// the reader waiting for ever, or never end.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::FileTooLarge`] above the limit.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let problem = format!("more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// What the operating system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Only POSIX systems can open a folder to sync it; elsewhere the rename has to do.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The value in the bytes of a stored file, if they are whole.
pub fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (digest, value) = bytes.split_at_checked(DIGEST_BYTES)?;
    (Digest::of(DOMAIN, value).0 == digest).then_some(value)
}

impl Store for DirStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let bytes = match read_bounded(&self.folder.join(key), MAX_VALUE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(device(key, error)),
        };
        let damaged = || StoreError::Damaged { key: key.to_owned() };
        unseal(&bytes).map(|value| Some(value.to_vec())).ok_or_else(damaged)
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.stage(key, value)?.commit().map_err(|source| device(key, source))
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        match fs::remove_file(self.folder.join(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(device(key, error)),
            _ => Ok(()),
        }
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(&self.folder).map_err(|source| device(prefix, source))?;
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.map_err(|source| device(prefix, source))?.file_name();
            let name = name.to_string_lossy();
            let partial =
                Path::new(name.as_ref()).extension().is_some_and(|ending| ending == "tmp");
            if name.starts_with(prefix) && !partial {
                keys.push(name.into_owned());
            }
        }
        keys.sort();
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("nexus-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn values_survive_and_are_listed() {
        let folder = scratch("survive");
        let mut store = DirStore::open(&folder).unwrap();
        store.put("round-2", b"two").unwrap();
        store.put("round-1", b"one").unwrap();
        store.put("round-1", b"uno").unwrap();
        fs::write(folder.join("round-3.tmp"), b"half").unwrap();
        let store = DirStore::open(&folder).unwrap();
        assert_eq!(store.keys("round-").unwrap(), ["round-1", "round-2"]);
        assert_eq!(store.get("round-1").unwrap().as_deref(), Some(&b"uno"[..]));
        assert_eq!(store.get("round-9").unwrap(), None);
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let folder = scratch("link");
        fs::create_dir_all(&folder).unwrap();
        let (victim, target) = (folder.join("victim"), folder.join("file"));
        fs::write(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.join("file.tmp")).unwrap();
        write_atomic(&target, b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(read_bounded(&target, 2).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_damaged_value_is_never_returned(at in 0usize..40, bit in 0u8..8, cut in 0usize..40) {
            let folder = scratch(&format!("damage-{at}-{bit}-{cut}"));
            let mut store = DirStore::open(&folder).unwrap();
            store.put("key", b"12345678").unwrap();
            let path = folder.join("key");
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 1 << bit;
            bytes.truncate(bytes.len() - cut);
            fs::write(&path, bytes).unwrap();
            let damaged = matches!(store.get("key"), Err(StoreError::Damaged { .. }));
            prop_assert!(damaged);
            fs::remove_dir_all(folder).unwrap();
        }
    }
}
