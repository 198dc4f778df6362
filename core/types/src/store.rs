//! Bytes that survive a crash.

use std::collections::BTreeMap;

use crate::limits::MAX_KEY_BYTES;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The key is empty, too long, or has a character outside `a-z 0-9 . _ -`.
    #[error(
        "`{key}` is no key: 1 to {MAX_KEY_BYTES} characters of a-z, 0-9, '.', '_', '-', not starting with '.'"
    )]
    Key {
        /// The key.
        key: String,
    },
    /// The stored bytes are not those that were written.
    #[error("`{key}` is damaged: its checksum does not fit")]
    Damaged {
        /// The key.
        key: String,
    },
    /// The device failed.
    #[error("`{key}`: {source}")]
    Device {
        /// The key.
        key: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A small key-value store. [`Store::put`] is atomic and durable: after a crash a key holds its
/// old value or its new one, and once `put` returned, the new one.
pub trait Store {
    /// The value of `key`, `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`]; damaged bytes are an error, never a value.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// [`StoreError`]; the old value is still there then.
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes `key`; removing what is not there is fine.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove(&mut self, key: &str) -> Result<(), StoreError>;

    /// All keys that start with `prefix`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
}

/// Checks that `key` can name a file on every system.
///
/// # Errors
/// [`StoreError::Key`].
pub fn check_key(key: &str) -> Result<(), StoreError> {
    let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let fits = (1..=MAX_KEY_BYTES).contains(&key.len()) && !key.starts_with('.');
    if fits && key.bytes().all(allowed) {
        return Ok(());
    }
    Err(StoreError::Key { key: key.to_owned() })
}

/// A store in memory, for tests and simulations.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    values: BTreeMap<String, Vec<u8>>,
}

impl Store for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        Ok(self.values.get(key).cloned())
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        check_key(key)?;
        self.values.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        self.values.remove(key);
        Ok(())
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.values.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_store_keeps_lists_and_forgets() {
        let mut store = MemoryStore::default();
        store.put("round-1", b"a").unwrap();
        store.put("round-2", b"b").unwrap();
        store.put("model", b"c").unwrap();
        assert_eq!(store.keys("round-").unwrap(), ["round-1", "round-2"]);
        store.remove("round-1").unwrap();
        assert_eq!(store.get("round-1").unwrap(), None);
        assert_eq!(store.get("model").unwrap().as_deref(), Some(&b"c"[..]));
    }

    #[test]
    fn keys_that_could_leave_the_folder_are_refused() {
        for key in ["", "../a", "a/b", "A", ".hidden", &"a".repeat(201)] {
            let refused = MemoryStore::default().put(key, b"");
            assert!(matches!(refused, Err(StoreError::Key { .. })), "{key}");
        }
    }
}
