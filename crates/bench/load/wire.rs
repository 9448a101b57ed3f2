//! HTTP/1.1 by hand over persistent connections. The load must be cheap: it shares the processors with the server.

use std::io::{Error, ErrorKind, Result};
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The other headers of Node's `fetch`, so that the server parses as much as for the CLI.
const HEADERS: &str = "Host: localhost:3111\r\nConnection: keep-alive\r\nAccept: */*\r\nAccept-Language: *\r\n\
                       Sec-Fetch-Mode: cors\r\nUser-Agent: node\r\nAccept-Encoding: gzip, deflate\r\n";
/// A browser's, where a person follows a link or sends a form.
const BROWSER: &str = "Host: localhost:3111\r\nConnection: keep-alive\r\nAccept: text/html\r\nAccept-Language: en\r\n\
                       Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Connection {
    pub async fn to(port: u16) -> Result<Self> {
        Self::to_address(Ipv4Addr::LOCALHOST, port).await
    }

    pub async fn to_address(address: Ipv4Addr, port: u16) -> Result<Self> {
        let stream = TcpStream::connect((address, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.send(request).await?;
        self.answer().await
    }

    pub async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await
    }

    pub async fn answer(&mut self) -> Result<Answer> {
        let (head, length) = self.receive().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (lines, body) = self.buffer[..head + length].split_at(head);
        let body = if content_length(lines).is_some() { text(body) } else { text(&joined(body)) };
        let answer = Answer { status: status(&self.buffer)?, head: text(lines), body };
        self.buffer.drain(..head + length);
        Ok(answer)
    }

    /// Like `ask`, but parses the status only: for the loops that measure rates.
    pub async fn status_of(&mut self, request: &[u8]) -> Result<u16> {
        self.send(request).await?;
        let (head, length) = self.receive().await?;
        let status = status(&self.buffer);
        self.buffer.drain(..head + length);
        status
    }

    /// Reads a whole answer into the buffer. Returns the lengths of its head and its body.
    async fn receive(&mut self) -> Result<(usize, usize)> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = end + 4;
                let (lines, rest) = self.buffer.split_at(head);
                let length = content_length(lines).or_else(|| chunks_length(rest)).unwrap_or(usize::MAX);
                if rest.len() >= length {
                    return Ok((head, length));
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Error::from(ErrorKind::UnexpectedEof));
            }
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_end())
    }
}

/// `HTTP/1.1 200 ..`
fn status(answer: &[u8]) -> Result<u16> {
    let digits = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| Error::from(ErrorKind::InvalidData))
}

/// `None` if the body comes in chunks, as the Node server's do.
fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let lines = head.split(|byte| *byte == b'\n');
    let value = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    value.flat_map(std::str::from_utf8).find_map(|value| value.trim_ascii().parse().ok())
}

/// The length of a body in chunks; `None` until its last one is here.
fn chunks_length(body: &[u8]) -> Option<usize> {
    const EMPTY: &[u8] = b"0\r\n\r\n";
    const LAST: &[u8] = b"\r\n0\r\n\r\n";
    if body.starts_with(EMPTY) {
        return Some(EMPTY.len());
    }
    Some(body.windows(LAST.len()).position(|bytes| bytes == LAST)? + LAST.len())
}

/// The content of a body's chunks.
fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = body.iter().position(|byte| *byte == b'\n') {
        let (size, rest) = body.split_at(end + 1);
        let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size.trim_ascii(), 16).ok());
        let size = size.unwrap_or(0).min(rest.len());
        content.extend_from_slice(&rest[..size]);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    content
}

pub fn get(path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{BROWSER}{}\r\n", cookie_header(cookie)).into_bytes()
}

pub fn post_json(path: &str, body: &str) -> Vec<u8> {
    post(path, HEADERS, "application/json", body)
}

pub fn post_form(path: &str, cookie: &str, body: &str) -> Vec<u8> {
    let headers = format!("{BROWSER}{}", cookie_header(cookie));
    post(path, &headers, "application/x-www-form-urlencoded", body)
}

/// The same request as a proxy on this machine passes it on for this client.
pub fn from_address(address: &str, request: &[u8]) -> Vec<u8> {
    let line = request.windows(2).position(|bytes| bytes == b"\r\n").map_or(0, |end| end + 2);
    let (line, rest) = request.split_at(line);
    [line, format!("X-Forwarded-For: {address}\r\n").as_bytes(), rest].concat()
}

fn post(path: &str, headers: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\n{headers}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn cookie_header(cookie: &str) -> String {
    if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") }
}
