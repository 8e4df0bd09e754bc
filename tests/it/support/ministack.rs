//! MiniStack: a local AWS, started once for all tests of this process.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The program: in the environment variable of this name, or called `ministack` on the `PATH`.
const PROGRAM: &str = "MINISTACK";
/// Set to 1 to fail instead of skipping the tests, where the program is missing.
const REQUIRED: &str = "TEST_REQUIRES_MINISTACK";
/// It imports dozens of modules before it listens.
const TRIES: usize = 600;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Becomes the program, which a child of it ends when standard input closes: with this process, however that ends.
const GUARD: &str = r#"exec 3<&0; (read -r _ <&3; kill $$) & exec "$0" 3<&-"#;

struct Ministack {
    endpoint: String,
    /// Holds its standard input open.
    _program: Child,
}

/// The endpoint of the running server; `None`, with a printed word, where there is none to start.
pub(crate) fn endpoint() -> Option<&'static str> {
    static SERVER: OnceLock<Option<Ministack>> = OnceLock::new();
    let server = SERVER.get_or_init(start).as_ref();
    if server.is_none() {
        let required = std::env::var(REQUIRED).is_ok_and(|value| value == "1");
        assert!(!required, "{REQUIRED} is 1, but there is no `ministack` on the PATH or in {PROGRAM}");
        println!("skipped: there is no `ministack` on the PATH or in {PROGRAM}; `make test` installs it");
    }
    server.map(|server| server.endpoint.as_str())
}

fn start() -> Option<Ministack> {
    let program = std::env::var_os(PROGRAM).filter(|path| !path.is_empty()).or_else(on_path)?;
    // Another process may take the port between its choice and its use.
    let server = (0..3).find_map(|_| start_on(&program, free_port()));
    Some(server.unwrap_or_else(|| panic!("{} does not start", program.display())))
}

fn on_path() -> Option<OsString> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("ministack")).find(|file| file.is_file()).map(Into::into)
}

fn start_on(program: &OsString, port: u16) -> Option<Ministack> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(GUARD)
        .arg(program)
        .env("GATEWAY_PORT", port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("IOT_MTLS_ENABLED", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell");
    for _ in 0..TRIES {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(Ministack { endpoint: format!("http://127.0.0.1:{port}"), _program: child });
        }
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return None;
        }
        // Another process opens the port: there is no clock to pause, and nothing else to wait on.
        std::thread::sleep(BETWEEN_TRIES);
    }
    child.kill().ok();
    child.wait().ok();
    None
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
