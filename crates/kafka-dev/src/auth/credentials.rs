//! SCRAM credentials that clients have stored (KIP-554): salted passwords by user and hash. Never shown.

use std::collections::BTreeMap;
use std::io;

use super::scram::Hash;
use crate::journal::fields::{self, Fields};
use crate::journal::{Journal, Kind};

/// What a SCRAM exchange needs of a user.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) salt: Vec<u8>,
    pub(crate) salted_password: Vec<u8>,
    pub(crate) iterations: u32,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// All that is stored.
#[derive(Debug)]
pub(crate) struct Credentials {
    by_user: BTreeMap<String, BTreeMap<Hash, Credential>>,
    journal: Journal,
}

impl Credentials {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { by_user: BTreeMap::new(), journal }
    }

    /// Takes up what an earlier run has left.
    pub(crate) fn restore(&mut self) -> io::Result<()> {
        for (mut key, mut value) in self.journal.entries(Kind::Credential) {
            let (user, hash) = (fields::text(&mut key)?, fields::long(&mut key)?);
            let hash = i8::try_from(hash).ok().and_then(Hash::from_code);
            let hash = hash.ok_or_else(|| io::Error::other("a credential of an unknown mechanism"))?;
            let credential = Credential {
                salt: fields::bytes(&mut value)?.to_vec(),
                salted_password: fields::bytes(&mut value)?.to_vec(),
                iterations: u32::try_from(fields::long(&mut value)?).map_err(io::Error::other)?,
            };
            self.by_user.entry(user).or_default().insert(hash, credential);
        }
        Ok(())
    }

    pub(crate) fn get(&self, user: &str, hash: Hash) -> Option<&Credential> {
        self.by_user.get(user)?.get(&hash)
    }

    /// Every user with what is stored for it.
    pub(crate) fn users(&self) -> impl Iterator<Item = (&str, &BTreeMap<Hash, Credential>)> {
        self.by_user.iter().map(|(user, credentials)| (user.as_str(), credentials))
    }

    pub(crate) fn put(&mut self, user: &str, hash: Hash, credential: Credential) -> io::Result<()> {
        let value = Fields::new()
            .bytes(&credential.salt)
            .bytes(&credential.salted_password)
            .long(credential.iterations);
        self.journal.put(Kind::Credential, key(user, hash), value)?;
        self.by_user.entry(user.to_owned()).or_default().insert(hash, credential);
        Ok(())
    }

    /// Removes one, where it is there.
    pub(crate) fn remove(&mut self, user: &str, hash: Hash) -> io::Result<()> {
        self.journal.remove(Kind::Credential, key(user, hash))?;
        if let Some(credentials) = self.by_user.get_mut(user) {
            credentials.remove(&hash);
            if credentials.is_empty() {
                self.by_user.remove(user);
            }
        }
        Ok(())
    }
}

fn key(user: &str, hash: Hash) -> Fields {
    Fields::new().text(user).long(hash.code())
}
