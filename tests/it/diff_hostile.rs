//! `diff --base` on the manifest of a stranger: it reads nothing that the repository does not hold, waits for
//! nothing, and what it prints commands nobody.

use crate::diff_base::{commit, committed, since};
use crate::sandbox::Output;
use crate::shop::SLEEP;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

const SECRET: &str = "hunter2-tr0ub4dor";

fn agent(fields: &str) -> String {
    format!("a: {{agent: claude, {fields}}}")
}

fn tells_no_secret(said: Output) -> Output {
    assert!(!format!("{}{}", said.stdout, said.stderr).contains(SECRET), "{said:#?}");
    said
}

#[test]
fn nothing_outside_of_the_repository_is_read() {
    let shop = committed(&agent("prompt: x"));
    let outside = shop.sandbox.write("secret", SECRET);
    shop.sandbox.write("home/secret", SECRET);
    shop.sandbox.write("shop/.git/secret", SECRET);
    symlink(&outside, shop.top().join("absolute")).unwrap();
    symlink("../secret", shop.top().join("up")).unwrap();
    symlink("..", shop.top().join("parent")).unwrap();
    symlink(".git", shop.top().join("git")).unwrap();
    let home = shop.sandbox.home().join("secret");
    for named in [
        "/etc/passwd",
        "../secret",
        "~/secret",
        "absolute",
        "up",
        "parent/secret",
        "git/secret",
        ".git/secret",
        ".git/config",
        "/dev/zero",
        "/proc/self/environ",
        home.to_str().unwrap(),
    ] {
        for fields in
            [format!("prompt_file: {named}"), format!("each: {{lines: {named}}}, prompt: x")]
        {
            let text = agent(&fields)
                .replace("a:", if fields.contains("each") { "a-${each}:" } else { "a:" });
            shop.edit(&text);
            commit(&shop, "hostile");
            // The working tree's side, then the commit's.
            tells_no_secret(since(&shop, &[])).code(2).complains("outside of the repository");
            shop.edit(&agent("prompt: x"));
            tells_no_secret(since(&shop, &[])).code(2).complains("outside of the repository");
        }
    }
    for glob in ["parent/*", "git/*"] {
        shop.edit(
            &agent(&format!("each: {{files: '{glob}'}}, prompt: x"))
                .replace("a:", "a-${each.slug}:"),
        );
        tells_no_secret(since(&shop, &[])).code(2).complains("outside of the repository");
    }
}

#[test]
fn what_git_does_not_track_is_not_read() {
    let shop = committed(&agent("prompt: x"));
    shop.sandbox.write("shop/.env", SECRET);
    shop.sandbox.write("shop/credentials.json", SECRET);
    symlink("credentials.json", shop.top().join("link")).unwrap();
    shop.sandbox.git(shop.top(), &["add", "link"]);
    for named in [".env", "credentials.json", "link"] {
        shop.edit(&agent(&format!("prompt_file: {named}")));
        tells_no_secret(since(&shop, &[])).code(2).complains("git does not track it");
    }
    shop.edit(&agent("each: {files: '*.json'}, prompt: x").replace("a:", "a-${each.slug}:"));
    since(&shop, &[]).code(1).says_not("credentials");
    // The manifest itself may be one of them, by way of a link.
    fs::remove_file(shop.manifest()).unwrap();
    symlink("credentials.json", shop.manifest()).unwrap();
    tells_no_secret(since(&shop, &[])).code(2).complains("git does not track it");
    fs::remove_file(shop.manifest()).unwrap();
    symlink("../secret.yaml", shop.manifest()).unwrap();
    shop.sandbox.write("secret.yaml", &shop.text(&format!("{SECRET}: {{command: x}}")));
    tells_no_secret(since(&shop, &[])).code(2).complains("outside of the repository");
}

#[test]
fn a_directory_that_is_a_link_does_not_choose_another_repository() {
    let shop = committed(&agent("prompt: x"));
    let other = shop.sandbox.repo("other");
    fs::write(other.join("fleet.yaml"), shop.text(&format!("{SECRET}: {{command: x}}"))).unwrap();
    symlink("../other", shop.top().join("ci")).unwrap();
    let said = shop.run(&["diff", "--base", "HEAD", "-f", "ci/fleet.yaml"]);
    tells_no_secret(said).code(2).complains("outside of the repository");
}

#[test]
fn nothing_is_waited_for() {
    let shop = committed(&agent("prompt: x"));
    let pipe = shop.top().join("pipe");
    fs::write(&pipe, "text").unwrap();
    shop.edit(&agent("prompt_file: pipe"));
    commit(&shop, "a file");
    fs::remove_file(&pipe).unwrap();
    shop.sandbox.run_program("mkfifo", &[pipe.to_str().unwrap()]);
    let begun = Instant::now();
    since(&shop, &[]).code(2).complains("no regular file");
    fs::remove_file(shop.manifest()).unwrap();
    shop.sandbox.run_program("mkfifo", &[shop.manifest().to_str().unwrap()]);
    since(&shop, &[]).code(2).complains("no regular file");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let shop = committed(&agent("prompt_file: big"));
    let big = fs::File::create(shop.top().join("big")).unwrap();
    big.set_len(40 << 20).unwrap();
    commit(&shop, "big");
    since(&shop, &[]).code(2).complains("larger than 96 KiB");
    shop.edit(&agent("prompt: x"));
    since(&shop, &[]).code(2).complains("larger than 96 KiB");
    let lines = "\n  - &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  - &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n  \
                 - &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n  - &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n  \
                 - &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n  - [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    let bomb = format!("x-a:\n  - &a [x,x,x,x,x,x,x,x,x,x]{lines}{}", shop.text("a: {command: x}"));
    fs::write(shop.manifest(), bomb).unwrap();
    let begun = Instant::now();
    since(&shop, &[]).code(2);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_environment_file_is_never_opened_and_no_variable_is_expanded() {
    let shop = committed(&format!("a: {{{SLEEP}}}"));
    shop.sandbox.write("secret", SECRET);
    let fields = "env_file: ../secret, cwd: ., env: {A: '${env.HOME_SECRET}'}";
    shop.edit(&format!("a: {{{SLEEP}, {fields}}}"));
    commit(&shop, "hostile");
    let said = shop.run_with(&[("HOME_SECRET", SECRET)], &["diff", "--base", "HEAD^"]);
    tells_no_secret(said).code(1).says("../secret").says("env.A");
    shop.edit(&format!("a: {{{SLEEP}, prompt-x: '${{env.HOME_SECRET}}'}}"));
    let said = shop.run_with(&[("HOME_SECRET", SECRET)], &["diff", "--base", "HEAD^"]);
    tells_no_secret(said).code(2);
}

#[test]
fn paths_of_repositories_are_told_and_not_opened() {
    let shop = committed(&format!("a: {{{SLEEP}}}"));
    let text = shop.text(&format!("a: {{{SLEEP}, repo: x}}"));
    let repos = "repos: {x: {path: /proc/1/root, worktrees: /dev}}\nsessions:";
    fs::write(shop.manifest(), text.replace("sessions:", repos)).unwrap();
    since(&shop, &[]).code(1).says("recreate").says("/proc/1/root");
}
