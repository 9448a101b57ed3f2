//! Through PgBouncer in transaction mode: each statement may meet another connection.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::support::{Browser, Database, PATIENCE, Poll, Replica, Stage};

struct PgBouncer {
    child: Child,
    directory: PathBuf,
    url: String,
}

impl PgBouncer {
    /// In front of a database, with three connections to it.
    async fn before(database: &Database) -> Self {
        let target = Url::parse(&database.url()).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let directory = std::env::temp_dir().join(format!("pgbouncer-{:016x}", rand::random::<u64>()));
        fs::create_dir(&directory).unwrap();
        let (user, password) = (target.username(), target.password().unwrap_or_default());
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={} user={user} password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n",
            target.port().unwrap()
        );
        let file = directory.join("pgbouncer.ini");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("pgbouncer");
        command.arg("-q").arg(&file).stderr(Stdio::null()).stdout(Stdio::null());
        // It refuses root; the owner of PostgreSQL's own directory will do.
        if fs::metadata(&directory).unwrap().uid() == 0 {
            let owner = fs::metadata(crate::support::cluster().data_dir()).unwrap();
            for path in [&directory, &file] {
                chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
            command.uid(owner.uid()).gid(owner.gid());
        }
        let child = command.spawn().expect("run the tests by scripts/test, which installs PgBouncer");
        let answers = async { while TcpStream::connect(("127.0.0.1", port)).await.is_err() {} };
        timeout(PATIENCE, answers).await.expect("PgBouncer answers");
        let mut url = target;
        url.set_port(Some(port)).unwrap();
        Self { child, directory, url: url.into() }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_does_no_harm() {
    let database = Database::new().await;
    let pgbouncer = PgBouncer::before(&database).await;
    let mut stage = Stage::empty(Database::at(pgbouncer.url.clone()), &[]);
    // The schema too is made through the pooler, by four at once.
    let racing: Vec<Replica> = (0..2).map(|_| Replica::start(stage.variables())).collect();
    stage.start_replica().await;
    stage.start_replica().await;
    for replica in &racing {
        replica.healthy().await;
    }
    for _ in 0..5 {
        let (login, browser, consent) = stage.at_consent().await;
        assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
        browser.approve(&consent).await;
        assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
        let (denied, browser, consent) = stage.at_consent().await;
        browser.press(&consent, ("decision", "deny"), &[]).await;
        assert_eq!(denied.poll().await, Poll::error("access_denied"));
    }
    let login = stage.cli().open().await;
    let page = Browser::new().visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    assert!(page.says(&login.user_code));
}
