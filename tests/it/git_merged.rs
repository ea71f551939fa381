//! Whether the work of a worktree is in its base: by ancestry, squashed, picked; and what only looks like it.

use crate::repo::{Repo, contents, known, write};
use fleetctl::snapshot::{Merge, MergedAt, Observed};
use fleetctl::world::WorktreeOf;

/// A repository with a worktree, and the commit that this began with.
struct Case {
    repo: Repo,
    of: WorktreeOf,
    since: String,
}

impl Case {
    fn new() -> Self {
        let repo = Repo::new();
        let of = repo.add("api", 1);
        let since = repo.head(&of.path);
        Self { repo, of, since }
    }

    fn at(&self, base: Option<&str>) -> MergedAt {
        MergedAt {
            uid: self.of.uid,
            repo: self.of.repo.clone(),
            path: self.of.path.clone(),
            since: self.since.clone(),
            base: base.map(str::to_owned),
        }
    }

    /// The answer, which must change nothing and be the same a second time.
    #[track_caller]
    fn merged(&self) -> Option<Merge> {
        let before = contents(&self.repo.root());
        let first = known(self.repo.git.merged(&self.at(None)));
        assert_eq!(contents(&self.repo.root()), before, "a look changes nothing");
        assert_eq!(known(self.repo.git.merged(&self.at(None))), first);
        let afresh = self.repo.with_global("[diff]\n\tnoprefix = true\n\texternal = false\n\talgorithm = patience\n\trenames = copies\n[log]\n\tshowSignature = true\n[color]\n\tui = always\n");
        assert_eq!(known(afresh.merged(&self.at(None))), first, "hostile settings");
        first
    }

    /// Git in the main worktree, which is on `main`.
    fn main(&self, args: &[&str]) {
        self.repo.run(&self.repo.top(), args);
    }

    fn own(&self, args: &[&str]) {
        self.repo.run(&self.of.path, args);
    }

    fn commit(&self, name: &str) -> String {
        self.repo.commit_file(&self.of.path, name, &format!("{name}\n"))
    }

    fn commit_on_main(&self, name: &str) -> String {
        self.repo.commit_file(&self.repo.top(), name, &format!("{name}\n"))
    }

    fn tip(&self) -> String {
        self.repo.head(&self.of.path)
    }

    fn main_tip(&self) -> String {
        self.repo.head(&self.repo.top())
    }
}

#[test]
fn a_fresh_branch_is_not_merged_although_its_commit_is_in_the_base() {
    let case = Case::new();
    assert_eq!(case.merged(), None);
    case.commit_on_main("more");
    assert_eq!(case.merged(), None);
}

#[test]
fn a_branch_that_was_only_moved_along_with_the_base_is_not_merged() {
    let case = Case::new();
    case.commit_on_main("more");
    case.own(&["merge", "--quiet", "--ff-only", "main"]);
    assert_eq!(case.tip(), case.main_tip());
    assert_eq!(case.merged(), None);
    case.commit_on_main("still more");
    case.own(&["rebase", "--quiet", "main"]);
    assert_eq!(case.merged(), None);
    case.commit("thrown-away");
    case.own(&["reset", "--quiet", "--hard", "main"]);
    assert_eq!(case.merged(), None, "its commit is not in its history any more");
}

#[test]
fn work_is_merged_when_the_base_was_moved_to_it_or_merged_it() {
    let case = Case::new();
    let tip = case.commit("work");
    assert_eq!(case.merged(), None);
    case.main(&["merge", "--quiet", "--ff-only", "shop/api"]);
    assert_eq!(case.merged(), Some(Merge { tip: tip.clone(), commit: tip }));
    let tip = case.commit("second");
    assert_eq!(case.merged(), None, "a further commit is not in the base");
    case.commit_on_main("between");
    case.main(&["merge", "--quiet", "--no-ff", "-m", "merge it", "shop/api"]);
    let commit = case.main_tip();
    case.commit_on_main("after");
    assert_eq!(case.merged(), Some(Merge { tip, commit }));
}

#[test]
fn work_that_was_squashed_into_one_commit_is_merged() {
    let case = Case::new();
    case.commit("one");
    case.commit("two");
    write(&case.of.path.join("picture"), "\u{0}\u{1}binary\u{0}");
    case.own(&["add", "picture"]);
    case.own(&["commit", "--quiet", "-m", "a picture"]);
    case.commit_on_main("between");
    case.main(&["merge", "--quiet", "--squash", "shop/api"]);
    case.main(&["commit", "--quiet", "-m", "all of it (#421)"]);
    let commit = case.main_tip();
    case.commit_on_main("after");
    assert_eq!(case.merged(), Some(Merge { tip: case.tip(), commit }));
}

#[test]
fn a_squashed_patch_with_something_else_in_it_is_not_the_work() {
    let case = Case::new();
    case.commit("one");
    case.commit("two");
    case.main(&["merge", "--quiet", "--squash", "shop/api"]);
    case.repo.write("shop/two", "otherwise\n");
    case.main(&["add", "two"]);
    case.main(&["commit", "--quiet", "-m", "most of it"]);
    assert_eq!(case.merged(), None);
}

#[test]
fn another_binary_under_the_same_name_is_not_the_work() {
    let case = Case::new();
    write(&case.of.path.join("picture"), "\u{0}mine\u{0}");
    case.own(&["add", "picture"]);
    case.own(&["commit", "--quiet", "-m", "mine"]);
    case.repo.write("shop/picture", "\u{0}theirs\u{0}");
    case.main(&["add", "picture"]);
    case.main(&["commit", "--quiet", "-m", "theirs"]);
    assert_eq!(case.merged(), None);
}

#[test]
fn work_that_was_rebased_or_picked_commit_by_commit_is_merged() {
    let case = Case::new();
    case.commit("one");
    case.commit("two");
    case.commit_on_main("between");
    case.main(&["cherry-pick", "shop/api~1"]);
    assert_eq!(case.merged(), None, "only the first of two");
    case.commit_on_main("more");
    case.main(&["cherry-pick", "shop/api"]);
    let commit = case.main_tip();
    assert_eq!(case.merged(), Some(Merge { tip: case.tip(), commit }));

    let case = Case::new();
    case.commit("one");
    case.commit_on_main("between");
    case.own(&["rebase", "--quiet", "main"]);
    assert_eq!(case.merged(), None);
    case.main(&["merge", "--quiet", "--ff-only", "shop/api"]);
    assert_eq!(case.merged(), Some(Merge { tip: case.tip(), commit: case.tip() }));
}

#[test]
fn the_worktrees_head_is_followed_whatever_branch_it_is_on() {
    let case = Case::new();
    case.own(&["switch", "--quiet", "-c", "better-name"]);
    case.commit("one");
    case.main(&["merge", "--quiet", "--no-ff", "-m", "merge", "better-name"]);
    assert_eq!(case.merged().map(|merge| merge.commit), Some(case.main_tip()));
    case.own(&["switch", "--quiet", "--detach"]);
    case.commit("two");
    assert_eq!(case.merged(), None);
}

#[test]
fn a_base_that_is_not_known_is_no_answer() {
    let case = Case::new();
    case.commit("one");
    let unknown = case.repo.git.merged(&case.at(Some("nowhere")));
    assert!(matches!(unknown, Observed::Unknown(_)), "{unknown:?}");
    // Its own branch is not the base, whatever the main worktree is on.
    case.main(&["branch", "--move", "main", "trunk"]);
    assert_eq!(case.merged(), None);
    let gone = MergedAt { path: "/nowhere".into(), ..case.at(None) };
    assert!(matches!(case.repo.git.merged(&gone), Observed::Unknown(_)));
}

#[test]
fn without_a_log_of_its_head_nothing_counts_as_its_own() {
    let case = Case::new();
    case.commit("one");
    case.main(&["merge", "--quiet", "--ff-only", "shop/api"]);
    std::fs::remove_file(case.repo.admin(&case.of).join("logs/HEAD")).unwrap();
    std::fs::remove_file(case.repo.top().join(".git/logs/refs/heads/shop/api")).unwrap();
    let seen = case.repo.git.merged(&case.at(None));
    assert!(!matches!(seen, Observed::Known(Some(_))), "{seen:?}");
}
