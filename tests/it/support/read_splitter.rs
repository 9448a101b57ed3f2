//! A pooler that sends reads of logins to a standby, as pgpool with `load_balance_mode` does.

use std::net::TcpListener as StdListener;

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The statements that it takes for reads of logins: like pgpool, by the first word.
fn is_read(sql: &[u8]) -> bool {
    let contains = |part: &[u8]| sql.windows(part.len()).any(|window| window == part);
    sql.trim_ascii_start().starts_with(b"SELECT") && contains(b"device_requests")
}

pub struct ReadSplitter {
    port: u16,
}

impl ReadSplitter {
    /// Both servers have to trust this machine: it has no password to give.
    pub fn start(primary: u16, standby: u16) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(split(client, primary, standby));
            }
        });
        Self { port }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postiz@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

/// One client, until it or a server closes its connection.
async fn split(mut client: TcpStream, primary: u16, standby: u16) -> io::Result<()> {
    let mut primary = TcpStream::connect(("127.0.0.1", primary)).await?;
    let mut standby = TcpStream::connect(("127.0.0.1", standby)).await?;
    let length = client.read_u32().await?;
    let mut startup = length.to_be_bytes().to_vec();
    (&mut client).take(u64::from(length) - 4).read_to_end(&mut startup).await?;
    standby.write_all(&startup).await?;
    answer(&mut standby, None).await?;
    primary.write_all(&startup).await?;
    let mut is_idle = answer(&mut primary, Some(&mut client)).await?;
    loop {
        let (mut request, mut reads) = (Vec::new(), false);
        loop {
            let (tag, body) = message(&mut client).await?;
            request.extend_from_slice(&framed(tag, &body));
            match tag {
                // The statement's name and a zero come first.
                b'P' => reads = body.iter().position(|byte| *byte == 0).is_some_and(|end| is_read(&body[end + 1..])),
                b'S' | b'Q' => break,
                _ => {}
            }
        }
        if is_idle && reads {
            standby.write_all(&request).await?;
            answer(&mut standby, Some(&mut client)).await?;
        } else {
            primary.write_all(&request).await?;
            is_idle = answer(&mut primary, Some(&mut client)).await?;
        }
    }
}

/// Passes messages on until the server is ready for the next request. Returns whether it is outside of a transaction.
async fn answer(server: &mut TcpStream, mut client: Option<&mut TcpStream>) -> io::Result<bool> {
    loop {
        let (tag, body) = message(server).await?;
        // Its process is not the only one that answers.
        if let Some(client) = client.as_mut().filter(|_| tag != b'K') {
            client.write_all(&framed(tag, &body)).await?;
        }
        if tag == b'Z' {
            return Ok(body == b"I");
        }
    }
}

async fn message(from: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let (tag, length) = (from.read_u8().await?, from.read_u32().await?);
    let mut body = Vec::new();
    from.take(u64::from(length) - 4).read_to_end(&mut body).await?;
    Ok((tag, body))
}

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}
