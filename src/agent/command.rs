//! From a profile to the words of a launch. Owns the placeholders of a profile; pure. Invariant: a placeholder
//! is filled in once, so that a prompt that holds the text of one reaches the agent as it was written.

use super::profile::{IdKind, Mode, Profile};
use crate::name::{Name, Uid};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What one launch says to an agent.
#[derive(Debug, Clone, Copy)]
pub struct LaunchWords<'a> {
    /// The prompt; given at a fresh start only, and only to an agent that takes one there.
    pub prompt: Option<&'a str>,
    /// The session's model; the profile's counts when there is none.
    pub model: Option<&'a str>,
    /// The session's mode; the profile's counts when there is none, and the agent's own when that has none either.
    pub mode: Option<Mode>,
    /// The session's further arguments, after those of the profile.
    pub args: &'a [String],
    /// The conversation, as far as one is known.
    pub id: Option<&'a str>,
    /// What the agent may call the session: `<fleet>/<session>`.
    pub name: &'a str,
    /// The directory that it runs in.
    pub cwd: &'a Path,
    /// A directory of the session's own, for agents that keep their conversations where they are told.
    pub state_dir: &'a Path,
    /// Go on with the conversation `id`.
    pub resume: bool,
}

/// The words of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Environment that goes with them.
    pub env: BTreeMap<String, String>,
    /// The prompt is among them. False when there was none, for a resume, and for an agent that takes none
    /// at its start.
    pub prompted: bool,
}

/// Why there are no words for a launch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The agent has nothing that corresponds to this mode.
    #[error("{agent} has no mode {}", mode.word())]
    Mode {
        /// The profile.
        agent: String,
        /// The mode that was asked for.
        mode: Mode,
        /// The modes that it has.
        known: Vec<Mode>,
    },
    /// The agent's conversation must be named and is not known.
    #[error("{agent} needs the id of its conversation")]
    NoConversation {
        /// The profile.
        agent: String,
    },
    /// A variable stands for something of another session that is not there yet.
    #[error("`${{{variable}}}` is not known before that session is made")]
    Variable {
        /// Which.
        variable: String,
    },
    /// A path that must be an argument is no text.
    #[error("{} is not UTF-8", path.display())]
    Path {
        /// Which.
        path: PathBuf,
    },
}

impl Mode {
    /// The mode as the manifest has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Edits => "edits",
            Self::Auto => "auto",
            Self::Plan => "plan",
            Self::Yolo => "yolo",
        }
    }
}

/// The program, its arguments and its environment for one launch.
///
/// # Errors
/// [`CommandError`], when the profile cannot say what is asked of it.
pub fn argv(profile: &Profile, words: &LaunchWords<'_>) -> Result<Argv, CommandError> {
    let model = words.model.or(profile.default_model.as_deref());
    let prompt = words.prompt.filter(|_| !words.resume && !profile.prompt.is_empty());
    let filler = Filler { profile, words, model };
    let mut env = BTreeMap::new();
    let options = filler.options(&mut env)?;
    let mut args = vec![profile.command.clone()];
    let mut placed = false;
    for element in leading(profile, words.resume, prompt.is_some()) {
        if element == "{options}" {
            args.extend(options.iter().cloned());
            placed = true;
        } else {
            args.push(filler.fill(element)?);
        }
    }
    if !placed {
        args.extend(options);
    }
    if prompt.is_some() {
        for element in &profile.prompt {
            args.push(filler.fill(element)?);
        }
    }
    Ok(Argv { args, env, prompted: prompt.is_some() })
}

fn leading(profile: &Profile, resume: bool, prompted: bool) -> &[String] {
    if resume {
        &profile.resume
    } else if prompted || profile.start_without_prompt.is_empty() {
        &profile.start
    } else {
        &profile.start_without_prompt
    }
}

struct Filler<'a> {
    profile: &'a Profile,
    words: &'a LaunchWords<'a>,
    model: Option<&'a str>,
}

impl Filler<'_> {
    /// Mode, model and further arguments.
    fn options(&self, env: &mut BTreeMap<String, String>) -> Result<Vec<String>, CommandError> {
        let mut options = Vec::new();
        if let Some(mode) = self.words.mode.or(self.profile.default_mode) {
            let flags = self.profile.modes.get(&mode).ok_or_else(|| CommandError::Mode {
                agent: self.profile.name.clone(),
                mode,
                known: self.profile.modes.keys().copied().collect(),
            })?;
            options.extend(flags.args.iter().cloned());
            env.extend(flags.env.clone());
        }
        if self.model.is_some() {
            for element in &self.profile.model {
                options.push(self.fill(element)?);
            }
        }
        options.extend(self.profile.args.iter().chain(self.words.args).cloned());
        Ok(options)
    }

    fn fill(&self, element: &str) -> Result<String, CommandError> {
        let words = self.words;
        fill(element, |name| {
            Ok(Some(match name {
                "id" => words.id.ok_or_else(|| CommandError::NoConversation {
                    agent: self.profile.name.clone(),
                })?,
                "name" => words.name,
                "cwd" => text(words.cwd)?,
                "state" => text(words.state_dir)?,
                "prompt" => words.prompt.unwrap_or_default(),
                "model" => self.model.unwrap_or_default(),
                _ => return Ok(None),
            }))
        })
    }
}

fn text(path: &Path) -> Result<&str, CommandError> {
    path.to_str().ok_or_else(|| CommandError::Path { path: path.to_owned() })
}

/// Fills in each `{name}` that `value` knows; other braces stay as they are.
fn fill<'a, E>(
    template: &str,
    value: impl Fn(&str) -> Result<Option<&'a str>, E>,
) -> Result<String, E> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        filled.push_str(before);
        let name = from.find('}').map(|close| &from[1..close]);
        match name.map(&value).transpose()?.flatten() {
            Some(value) => {
                filled.push_str(value);
                rest = &from[name.map_or(0, str::len) + 2..];
            }
            None => {
                filled.push('{');
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Globs of the files of which one exists when the conversation does; each is absolute or begins with a
/// variable, as [`Profile::transcript`] has it.
#[must_use]
pub fn transcript_globs(
    profile: &Profile,
    conversation: &str,
    directory: &Path,
    state_dir: &Path,
) -> Vec<String> {
    let id = literal(conversation);
    let id8 = literal(&conversation.chars().take(8).collect::<String>());
    let slug = slug(directory);
    let state = literal(&state_dir.to_string_lossy());
    let value = |name: &str| {
        Ok::<_, std::convert::Infallible>(match name {
            "id" => Some(id.as_str()),
            "id8" => Some(id8.as_str()),
            "slug" => Some(slug.as_str()),
            "state" => Some(state.as_str()),
            _ => None,
        })
    };
    let filled = profile.transcript.iter().map(|glob| match fill(glob, value) {
        Ok(glob) => glob,
    });
    filled.collect()
}

/// The name that Claude gives to a directory's project: each UTF-16 unit but ASCII letters and digits is a `-`.
fn slug(directory: &Path) -> String {
    const MOST: usize = 200;
    let mut slug = String::new();
    for c in directory.to_string_lossy().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else {
            slug.extend(std::iter::repeat_n('-', c.len_utf16()));
        }
    }
    if slug.len() > MOST {
        // What follows there is a hash of the agent's own.
        slug.truncate(MOST);
        slug.push_str("-*");
    }
    slug
}

/// The text as a glob that matches it alone.
fn literal(text: &str) -> String {
    let mut glob = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}') {
            glob.extend(['[', c, ']']);
        } else {
            glob.push(c);
        }
    }
    glob
}

/// The id of a new conversation, for an agent that is told it; `None` for one that chooses its own.
///
/// `random` are 128 random bits. An agent without ids gets one too: its files are named by it, so that a fresh
/// start leaves the old conversation's files alone.
#[must_use]
pub fn new_conversation(
    profile: &Profile,
    random: u128,
    fleet: &Name,
    session: &Name,
    uid: Uid,
) -> Option<String> {
    match profile.id {
        IdKind::Uuid | IdKind::None => {
            let bytes = random.to_be_bytes();
            Some(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
        }
        IdKind::Name => {
            let uid = uid.to_string().to_lowercase();
            let end = &uid[uid.len() - 6..];
            // Agents take the same name twice: the last part tells apart the conversations of one incarnation.
            Some(format!("{fleet}-{session}-{end}-{:04x}", random & 0xffff))
        }
        IdKind::Agent => None,
    }
}

/// The agent keeps files in the session's own directory, which must be there before it starts.
#[must_use]
pub fn needs_state_dir(profile: &Profile) -> bool {
    let lists = [&profile.start, &profile.start_without_prompt, &profile.resume];
    lists.into_iter().flatten().any(|element| element.contains("{state}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::profile::builtin;

    const ID: &str = "5c1e0000-0000-4000-8000-000000000001";

    fn words() -> LaunchWords<'static> {
        LaunchWords {
            prompt: Some("-fix {id} it"),
            model: Some("big"),
            mode: Some(Mode::Plan),
            args: &[],
            id: Some(ID),
            name: "shop/api",
            cwd: Path::new("/w/api"),
            state_dir: Path::new("/s/U"),
            resume: false,
        }
    }

    fn line(agent: &str, words: &LaunchWords<'_>) -> String {
        let argv = argv(builtin(agent).unwrap(), words).unwrap();
        let env: Vec<String> = argv.env.iter().map(|(k, v)| format!("{k}={v} ")).collect();
        format!("{}{}", env.concat(), argv.args.join(" ")).replace(ID, "ID")
    }

    #[test]
    fn each_agent_gets_the_words_of_a_fresh_start() {
        let yolo = LaunchWords { mode: Some(Mode::Yolo), ..words() };
        let aider = "aider --no-check-update --no-show-release-notes --no-gitignore \
             --analytics-disable --no-show-model-warnings --chat-history-file /s/U/chat-ID.md \
             --input-history-file /s/U/input-ID --yes-always --model big";
        let table = [
            (
                "claude",
                "claude --session-id ID -n shop/api --permission-mode bypassPermissions --model big -- -fix {id} it",
            ),
            (
                "codex",
                "codex --no-daemon -C /w/api --dangerously-bypass-approvals-and-sandbox -m big -- -fix {id} it",
            ),
            (
                "gemini",
                "gemini --session-id ID --approval-mode yolo -m big --prompt-interactive=-fix {id} it",
            ),
            ("opencode", "opencode --auto -m big --prompt=-fix {id} it"),
            (
                "copilot",
                "copilot --session-id=ID -n shop/api --allow-all-tools --allow-all-paths --allow-all-urls --model big --interactive=-fix {id} it",
            ),
            ("goose", "GOOSE_MODE=auto goose run -s -n ID --model big --text=-fix {id} it"),
            ("aider", aider),
        ];
        for (agent, expected) in table {
            assert_eq!(line(agent, &yolo), expected, "{agent}");
        }
    }

    #[test]
    fn each_agent_gets_the_words_of_a_resume_without_the_prompt() {
        let resume = LaunchWords { mode: Some(Mode::Yolo), resume: true, ..words() };
        let table = [
            (
                "claude",
                "claude --resume ID -n shop/api --permission-mode bypassPermissions --model big",
            ),
            (
                "codex",
                "codex --no-daemon -C /w/api --dangerously-bypass-approvals-and-sandbox -m big resume ID",
            ),
            ("gemini", "gemini --resume ID --approval-mode yolo -m big"),
            ("opencode", "opencode --session ID --auto -m big"),
            (
                "copilot",
                "copilot --session-id=ID --allow-all-tools --allow-all-paths --allow-all-urls --model big",
            ),
            ("goose", "GOOSE_MODE=auto goose session -r -n ID --model big"),
        ];
        for (agent, expected) in table {
            assert_eq!(line(agent, &resume), expected, "{agent}");
        }
        assert!(line("aider", &resume).contains("--restore-chat-history"));
        for profile in crate::agent::profile::builtins() {
            assert!(!argv(profile, &resume).unwrap().prompted, "{}", profile.name);
        }
    }

    #[test]
    fn what_is_unset_leaves_no_flag_behind() {
        let bare = LaunchWords { prompt: None, model: None, mode: None, ..words() };
        assert_eq!(line("claude", &bare), "claude --session-id ID -n shop/api");
        assert_eq!(line("codex", &bare), "codex --no-daemon -C /w/api");
        assert_eq!(line("goose", &bare), "goose session -n ID");
        assert_eq!(line("opencode", &bare), "opencode");
    }

    #[test]
    fn a_profiles_own_defaults_count_under_those_of_the_session() {
        let mut profile = builtin("claude").unwrap().clone();
        profile.default_model = Some("opus".to_owned());
        profile.default_mode = Some(Mode::Plan);
        profile.args = vec!["--verbose".to_owned()];
        let args = ["--effort".to_owned(), "high".to_owned()];
        let bare = LaunchWords { prompt: None, model: None, mode: None, args: &args, ..words() };
        let words = |words| argv(&profile, &words).unwrap().args[5..].join(" ");
        assert_eq!(words(bare), "--permission-mode plan --model opus --verbose --effort high");
        let own = LaunchWords { model: Some("m"), mode: Some(Mode::Ask), args: &[], ..bare };
        assert_eq!(words(own), "--permission-mode manual --model m --verbose");
    }

    #[test]
    fn a_mode_that_an_agent_does_not_have_is_refused() {
        let edits = LaunchWords { mode: Some(Mode::Edits), ..words() };
        let error = argv(builtin("goose").unwrap(), &edits).unwrap_err();
        assert_eq!(error.to_string(), "goose has no mode edits");
        assert!(matches!(error, CommandError::Mode { known, .. } if known.len() == 3));
    }

    #[test]
    fn a_resume_without_a_conversation_is_refused() {
        let unknown = LaunchWords { id: None, mode: None, resume: true, ..words() };
        let error = argv(builtin("codex").unwrap(), &unknown).unwrap_err();
        assert!(matches!(error, CommandError::NoConversation { .. }));
        let fresh = LaunchWords { resume: false, ..unknown };
        assert!(argv(builtin("codex").unwrap(), &fresh).unwrap().prompted);
    }

    #[test]
    fn aider_says_that_it_was_not_given_the_prompt() {
        let plain = LaunchWords { mode: None, ..words() };
        assert!(!argv(builtin("aider").unwrap(), &plain).unwrap().prompted);
        assert!(needs_state_dir(builtin("aider").unwrap()));
        assert!(!needs_state_dir(builtin("claude").unwrap()));
    }

    #[test]
    fn transcripts_are_looked_for_where_each_agent_keeps_them() {
        let globs = |agent: &str| {
            let profile = builtin(agent).unwrap();
            transcript_globs(profile, ID, Path::new("/w/api"), Path::new("/s[1]/U")).join(" ")
        };
        assert_eq!(
            globs("claude"),
            format!("${{CLAUDE_CONFIG_DIR:-$HOME/.claude}}/projects/*/{ID}.jsonl")
        );
        assert_eq!(
            globs("gemini"),
            "${GEMINI_CLI_HOME:-$HOME}/.gemini/tmp/*/chats/session-*-5c1e0000.jsonl"
        );
        assert_eq!(globs("aider"), format!("/s[[]1[]]/U/chat-{ID}.md"));
    }

    #[test]
    fn a_slug_is_made_as_claude_makes_it() {
        assert_eq!(slug(Path::new("/home/dev/code/other_dir.x")), "-home-dev-code-other-dir-x");
        assert_eq!(slug(Path::new("/ä𝒳")), "----");
        let long = slug(Path::new(&format!("/{}", "x".repeat(300))));
        assert_eq!(long, format!("-{}-*", "x".repeat(199)));
    }

    #[test]
    fn conversations_are_named_by_us_where_the_agent_lets_us() {
        let (fleet, session) = ("shop".parse().unwrap(), "api".parse().unwrap());
        let uid = Uid::from_parts(1, 0xabcdef);
        let new = |agent: &str, random| {
            new_conversation(builtin(agent).unwrap(), random, &fleet, &session, uid)
        };
        assert_eq!(new("claude", u128::MAX).unwrap(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(new("claude", 0).unwrap(), "00000000-0000-4000-8000-000000000000");
        assert_eq!(new("codex", 1), None);
        let name = new("goose", 0x12ab).unwrap();
        assert!(name.starts_with("shop-api-") && name.ends_with("-12ab"), "{name}");
        assert_ne!(new("goose", 1), new("goose", 2));
    }
}
