//! What is shown while a job runs: a bar on a terminal, plain lines elsewhere, JSON lines on request.
//! Results go to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::secrets::{self, PlaceSecrets};
use souvenir::engine::Result;
use souvenir::engine::error::Error;
use souvenir::engine::job::{Event, JobHandle, Phase, Progress, Question, Warning};

/// How often plain lines tell of the progress.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// How long a wait for the next event lasts before the progress is looked at.
const POLL: Duration = Duration::from_millis(100);

/// The terminal, or whatever takes its place.
pub struct Console {
    json: bool,
    bar: Option<ProgressBar>,
    /// What is known beforehand of what places may ask for.
    known: PlaceSecrets,
}

impl Console {
    /// A console. The bar is for people: it needs a terminal.
    pub fn new(json: bool, known: PlaceSecrets) -> Self {
        let bar = (!json && std::io::stderr().is_terminal()).then(ProgressBar::new_spinner);
        Self { json, bar, known }
    }

    /// Whether results are printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Shows a job until its end, and tells each warning.
    pub fn watch<T>(&self, handle: &JobHandle<T>, mut note: impl FnMut(&Warning)) -> Result<T> {
        let mut said = Instant::now();
        if let Some(bar) = &self.bar {
            bar.reset();
        }
        loop {
            while let Ok(event) = handle.events.try_recv() {
                match event {
                    Event::Phase(_) => {}
                    Event::Warning(warning) => {
                        note(&warning);
                        self.warn(&warning.to_string());
                    }
                    Event::Question(question) => match &self.bar {
                        Some(bar) => bar.suspend(|| self.answer(question)),
                        None => self.answer(question),
                    },
                    Event::Finished(result) => {
                        if let Some(bar) = &self.bar {
                            bar.finish_and_clear();
                        }
                        return result;
                    }
                }
            }
            if let Ok(progress) = handle.progress.try_recv() {
                self.show(&progress, &mut said);
            }
            if handle.events.is_empty() {
                std::thread::sleep(POLL);
            }
        }
    }

    /// Prints an error.
    pub fn error(&self, error: &anyhow::Error) {
        // The engine's errors say everything themselves, those around them only what was being done.
        let text = error.downcast_ref::<Error>().map_or_else(|| format!("{error:#}"), Error::to_string);
        if self.json {
            self.line(&json!({ "error": text }).to_string());
        } else {
            self.line(&format!("souvenir-cli: {text}"));
        }
    }

    /// Prints a result to standard output.
    pub fn result(&self, text: &str) -> Result<()> {
        let mut output = std::io::stdout().lock();
        match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            // Whoever read the output has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|source| Error::Local { action: "printing the result", source }),
        }
    }

    /// Prints a warning.
    pub fn warn(&self, text: &str) {
        if self.json {
            self.line(&json!({ "warning": text }).to_string());
        } else {
            self.line(&format!("warning: {text}"));
        }
    }

    fn show(&self, progress: &Progress, said: &mut Instant) {
        let share = if progress.total_known && progress.total_bytes > 0 {
            Some(progress.done_bytes.min(progress.total_bytes) as f64 / progress.total_bytes as f64)
        } else {
            None
        };
        if let Some(bar) = &self.bar {
            self.draw(bar, progress);
        } else if said.elapsed() >= PLAIN_INTERVAL {
            *said = Instant::now();
            if self.json {
                let values = json!({
                    "done_files": progress.done_files,
                    "done_bytes": progress.done_bytes,
                    "total_bytes": progress.total_known.then_some(progress.total_bytes),
                });
                self.line(&json!({ "progress": values }).to_string());
            } else {
                let percent = share.map_or_else(String::new, |share| format!("{:.0} %, ", share * 100.0));
                self.line(&format!(
                    "{}: {percent}{} files, {}",
                    doing(progress),
                    progress.done_files,
                    HumanBytes(progress.done_bytes)
                ));
            }
        }
    }

    fn draw(&self, bar: &ProgressBar, progress: &Progress) {
        let template = if progress.total_known {
            bar.set_length(progress.total_bytes.max(progress.done_bytes));
            "{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}"
        } else {
            "{spinner} {msg} {bytes} {binary_bytes_per_sec}"
        };
        // The templates are constants that parse.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(format!("{}, {} files", doing(progress), progress.done_files));
        bar.set_position(progress.done_bytes);
    }

    /// Asks on the terminal. The job may have been cancelled meanwhile; then nobody wants to know.
    fn answer(&self, question: Question) {
        match question {
            Question::Passphrase { request, reply } => {
                let _ = reply.send(secrets::ask(&request));
            }
            Question::Credential { request, reply } => {
                let _ = reply.send(secrets::ask_credential(&request, &self.known));
            }
            Question::HostKey { key, reply } => {
                let _ = reply.send(secrets::confirm_host_key(&key));
            }
            // Where nobody sits, a full backup is the safe answer.
            Question::OtherHost { found, reply } if self.bar.is_some() => {
                let _ = reply.send(secrets::confirm_other_host(&found));
            }
            Question::OtherHost { .. } => {}
            // Network folders are the desktop's.
            Question::Mount { .. } => {}
        }
    }

    #[allow(clippy::print_stderr, reason = "this is the command line")]
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

fn doing(progress: &Progress) -> &'static str {
    match progress.phase {
        _ if progress.trying_again => "Connection lost, trying again",
        Phase::Preparing => "Preparing",
        Phase::BackingUp => "Backing up",
        Phase::Finishing => "Finishing",
        Phase::Restoring => "Restoring",
        Phase::Listing => "Reading",
        Phase::Verifying => "Checking",
        Phase::Deleting => "Deleting",
        Phase::Copying => "Copying",
        Phase::Waiting => "Waiting",
    }
}

/// A duration for people.
pub fn duration_text(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(10) {
        format!("{:.1} seconds", elapsed.as_secs_f64())
    } else {
        HumanDuration(elapsed).to_string()
    }
}
