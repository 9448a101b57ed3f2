//! How `check` and a server recognise each other: both read one key from the same database, and neither sends it.
//!
//! The labels of derived secrets are part of the protocol between versions: do not rename them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::secret::{LENGTH, Secret};

/// Random, one for each database.
#[derive(Debug)]
pub struct SelfCheckKey(Secret);

/// The Unix time in eight bytes, and a random number, new for each request.
#[derive(Debug)]
pub struct Challenge(Secret);

/// How long after, or before, its time a challenge is answered. A recorded request is worthless after that.
const TOLERANCE: Duration = Duration::from_mins(5);

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedRequest {
    /// Proves that it comes from a holder of the key.
    pub(super) proof: String,
    /// The other end of the TCP connection.
    pub peer: Option<IpAddr>,
    /// The client's address, by `CLIENT_IP_SOURCE`.
    pub client: Option<IpAddr>,
    /// The headers in which proxies name the client, by their names in lower case.
    pub forwarded: BTreeMap<String, String>,
}

impl SelfCheckKey {
    /// From the key in the database.
    pub fn new(stored: Secret) -> Self {
        Self(stored)
    }

    /// The request's header: the challenge, and the proof that the sender has the key.
    pub fn header(&self, challenge: &Challenge) -> String {
        let number = challenge.0.to_base64url();
        format!("{number}.{}", self.0.derive("question", number.as_bytes()).to_base64url())
    }

    /// `None` if the header was not made with this key, or not within [`TOLERANCE`] of this machine's time.
    pub(super) fn read(&self, header: &str) -> Option<Challenge> {
        let (number, proof) = header.split_once('.')?;
        let expected = self.0.derive("question", number.as_bytes());
        // Digests are compared, so that the time it takes tells nothing about the proof.
        let valid = Secret::from_base64url(proof)?.digest() == expected.digest();
        let challenge = valid.then(|| Secret::from_base64url(number).map(Challenge))??;
        (challenge.seconds().abs_diff(unix_time()) <= TOLERANCE.as_secs()).then_some(challenge)
    }

    pub(super) fn proof(&self, challenge: &Challenge) -> String {
        self.0.derive("answer", challenge.0.expose()).to_base64url()
    }

    /// Whether this answer to `challenge` comes from a holder of the same key.
    pub fn verifies(&self, challenge: &Challenge, observed: &ObservedRequest) -> bool {
        let given = Secret::from_base64url(&observed.proof).map(|proof| proof.digest());
        given == Some(self.0.derive("answer", challenge.0.expose()).digest())
    }
}

impl Challenge {
    pub fn random() -> Self {
        Self::at(unix_time())
    }

    /// Versions that don't look at the time see 32 random bytes, so they answer these challenges too. Their own challenges
    /// are refused here.
    fn at(seconds: u64) -> Self {
        let mut bytes: [u8; LENGTH] = rand::random();
        bytes[..8].copy_from_slice(&seconds.to_be_bytes());
        Self(Secret::from_bytes(bytes))
    }

    fn seconds(&self) -> u64 {
        self.0.expose()[..8].iter().fold(0, |seconds, byte| seconds << 8 | u64::from(*byte))
    }
}

fn unix_time() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> SelfCheckKey {
        SelfCheckKey::new(Secret::from_bytes([name.as_bytes()[0]; 32]))
    }

    fn answer(key: &SelfCheckKey, challenge: &Challenge) -> ObservedRequest {
        let proof = key.proof(challenge);
        ObservedRequest { proof, peer: None, client: None, forwarded: BTreeMap::new() }
    }

    #[test]
    fn a_holder_of_the_key_is_answered_and_the_answer_is_verified() {
        let challenge = Challenge::random();
        let read = key("a").read(&key("a").header(&challenge)).expect("the same key");
        assert!(key("a").verifies(&challenge, &answer(&key("a"), &read)));
    }

    #[test]
    fn a_challenge_is_answered_for_five_minutes() {
        let (key, now) = (key("a"), unix_time());
        for (age, answered) in [(-310, false), (-290, true), (0, true), (290, true), (310, false)] {
            let header = key.header(&Challenge::at(now.saturating_add_signed(-age)));
            assert_eq!(key.read(&header).is_some(), answered, "{age} s");
        }
        assert!(key.read(&key.header(&Challenge(Secret::random()))).is_none(), "a version without times");
    }

    #[test]
    fn another_key_and_a_repeated_challenge_are_refused() {
        let challenge = Challenge::random();
        assert!(key("a").read(&key("b").header(&challenge)).is_none());
        assert!(!key("a").verifies(&challenge, &answer(&key("b"), &challenge)));
        let header = key("a").header(&challenge);
        for header in ["", ".", "a.b", &header[1..], header.split_once('.').unwrap().0] {
            assert!(key("a").read(header).is_none(), "{header}");
        }
        let echo =
            ObservedRequest { proof: header.split_once('.').unwrap().1.to_owned(), ..answer(&key("a"), &challenge) };
        assert!(!key("a").verifies(&challenge, &echo));
    }
}
