//! A function's process: started in a group of its own, its output line by line, ended with all that it started.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::builder::Settings;
use super::output::FunctionOutput;

/// How long the output of a process that has ended is still waited for: what it started may keep the pipes open.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How much of a line the error of a failed start repeats, in characters.
const MAX_QUOTE: usize = 300;

/// How a process ended, and the last line that it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    /// Such as `exit status: 1` or `signal: 9 (SIGKILL)`.
    pub(super) status: String,
    pub(super) last_line: Option<String>,
}

/// A running process; dropping it kills its group.
pub(super) struct Process {
    group: Option<rustix::process::Pid>,
    exit: watch::Receiver<Option<Exit>>,
    /// Aborted on drop, which also kills the process itself.
    _tasks: JoinSet<()>,
}

impl Process {
    pub(super) fn start(settings: &Settings, environment: u32, api: &str) -> std::io::Result<Self> {
        let mut child = command(settings, api).spawn()?;
        let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        let last_line = Arc::new(Mutex::new(None));
        let mut lines = JoinSet::new();
        let writer = |is_stderr| Writer {
            environment,
            is_stderr,
            on_output: Arc::clone(&settings.on_output),
            last_line: Arc::clone(&last_line),
        };
        if let Some(stdout) = child.stdout.take() {
            lines.spawn(writer(false).forward(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            lines.spawn(writer(true).forward(stderr));
        }
        let (sender, exit) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let status = wait(child, group, lines).await;
            let last_line = last_line.lock().unwrap_or_else(PoisonError::into_inner).take();
            sender.send_replace(Some(Exit { status, last_line }));
        });
        Ok(Self { group, exit, _tasks: tasks })
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Waits until the process has ended.
    pub(super) async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        ended.ok().and_then(|exit| exit.clone()).unwrap_or(Exit { status: "ended".to_owned(), last_line: None })
    }

    pub(super) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    pub(super) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        // Once it has ended, its number may be another process's.
        if !self.has_exited() {
            signal_group(self.group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal_group(group: Option<rustix::process::Pid>, signal: rustix::process::Signal) {
    if let Some(group) = group {
        // It fails if the group has ended by itself, which is what was wanted.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

fn command(settings: &Settings, api: &str) -> Command {
    let mut command = Command::new(&settings.program);
    command.args(&settings.arguments).envs(lambda_variables(settings));
    command.envs(settings.variables.iter().map(|(name, value)| (name, value)));
    command.env("AWS_LAMBDA_RUNTIME_API", api);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // In its own group, Ctrl-C in the terminal does not reach it: it can finish what it does.
    command.process_group(0).kill_on_drop(true);
    command
}

/// What Lambda sets ([AWS: environment variables](https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html)).
fn lambda_variables(settings: &Settings) -> Vec<(&'static str, String)> {
    let root = settings.program.parent().filter(|parent| !parent.as_os_str().is_empty());
    let root = root.map_or(".".into(), |parent| parent.display().to_string());
    let mut variables = vec![
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", settings.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", settings.function_name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", settings.function_name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{:032x}", fastrand::u128(..))),
        ("LAMBDA_TASK_ROOT", root),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
    ];
    if settings.concurrency > 1 {
        variables.push(("AWS_LAMBDA_MAX_CONCURRENCY", settings.concurrency.to_string()));
    }
    if std::env::var_os("AWS_REGION").is_none() {
        let region = std::env::var("AWS_DEFAULT_REGION").unwrap_or_else(|_| settings.region.clone());
        variables.push(("AWS_REGION", region.clone()));
        variables.push(("AWS_DEFAULT_REGION", region));
    }
    variables
}

async fn wait(mut child: Child, group: Option<rustix::process::Pid>, mut lines: JoinSet<()>) -> String {
    let status = child.wait().await;
    signal_group(group, rustix::process::Signal::KILL);
    let _ = tokio::time::timeout(LAST_WORDS, async { while lines.join_next().await.is_some() {} }).await;
    status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string)
}

struct Writer {
    environment: u32,
    is_stderr: bool,
    on_output: Arc<super::output::OnOutput>,
    last_line: Arc<Mutex<Option<String>>>,
}

impl Writer {
    /// Hands on every line; so the function is never blocked because its output is not read.
    async fn forward(self, pipe: impl AsyncRead + Unpin) {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            (self.on_output)(FunctionOutput { environment: self.environment, is_stderr: self.is_stderr, line: text });
            if !text.trim().is_empty() {
                let quote = text.trim().chars().take(MAX_QUOTE).collect();
                *self.last_line.lock().unwrap_or_else(PoisonError::into_inner) = Some(quote);
            }
            line.clear();
        }
    }
}
