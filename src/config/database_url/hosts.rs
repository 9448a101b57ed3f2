//! The hosts of a `DATABASE_URL`. No error holds any of the text.

use std::net::IpAddr;

use tokio_postgres::config::{Config, Host};

use super::query::{Query, refusal};

/// Lists of equal length, except that `names` or `addresses` may be empty, and a single port holds for all hosts.
pub(super) struct Hosts {
    names: Vec<Host>,
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
}

impl Hosts {
    /// `place` is `HOST[:PORT],...`; as in libpq, the query's `host`, `hostaddr` and `port` replace it.
    pub(super) fn take(place: &str, query: &mut Query) -> Result<Self, String> {
        let [names, addresses, ports] = ["host", "hostaddr", "port"].map(|name| query.take(name));
        let hint = "in a password, write @ as %40 and / as %2F; an IPv6 address stands in [ ]";
        let bad_port = || format!("has a port that is not a number from 1 to 65535; {hint}");
        let mut config: Config =
            format!("postgres://{place}").parse().map_err(|error| format!("{}; {hint}", refusal(&error)))?;
        let mut port_list = config.get_ports().to_vec();
        if let Some(names) = names {
            config = Config::new();
            for name in names.split(',') {
                config.host(name);
            }
        }
        if let Some(ports) = ports {
            let port = |text: &str| if text.is_empty() { Ok(5432) } else { text.parse() };
            port_list = ports.split(',').map(port).collect::<Result<_, _>>().map_err(|_| bad_port())?;
        }
        let addresses = addresses.iter().flat_map(|list| list.split(',')).map(str::parse).collect::<Result<_, _>>();
        let hosts = Self {
            names: config.get_hosts().to_vec(),
            addresses: addresses.map_err(|_| "has a hostaddr that is not an IP address")?,
            ports: port_list,
        };
        if hosts.ports.contains(&0) {
            return Err(bad_port());
        }
        hosts.check().map(|()| hosts)
    }

    /// Refuses lists that tokio-postgres would take, and then connect to something else or to nothing.
    fn check(&self) -> Result<(), String> {
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        let is_host = |host: &Host| !matches!(host, Host::Tcp(name) if !name.chars().all(in_name));
        let why = if self.count() == 0 || self.names.contains(&Host::Tcp(String::new())) {
            "has no host, or an empty one"
        } else if !self.names.iter().all(is_host) {
            "has a host that can't be one; in user name and password, write @ as %40 and / as %2F"
        } else if ![0, self.count()].contains(&self.names.len()) || ![0, self.count()].contains(&self.addresses.len()) {
            "has host and hostaddr lists of different lengths"
        } else if ![0, 1, self.count()].contains(&self.ports.len()) {
            "has neither one port nor as many as it has hosts"
        } else {
            return Ok(());
        };
        Err(why.to_owned())
    }

    pub(super) fn count(&self) -> usize {
        self.names.len().max(self.addresses.len())
    }

    /// How many of them are Unix sockets.
    pub(super) fn sockets(&self) -> usize {
        self.names.iter().filter(|host| matches!(host, Host::Unix(_))).count()
    }

    /// Whether there are names, which a certificate can be compared with.
    pub(super) fn are_named(&self) -> bool {
        !self.names.is_empty()
    }

    pub(super) fn one(&self, index: usize, mut config: Config) -> Config {
        match self.names.get(index) {
            Some(Host::Tcp(name)) => config.host(name),
            Some(Host::Unix(path)) => config.host_path(path),
            None => &mut config,
        };
        if let Some(address) = self.addresses.get(index) {
            config.hostaddr(*address);
        }
        if let Some(port) = self.ports.get(index).or(self.ports.first()) {
            config.port(*port);
        }
        config
    }

    pub(super) fn all(&self, config: Config) -> Config {
        (0..self.count()).fold(config, |config, index| self.one(index, config))
    }
}
