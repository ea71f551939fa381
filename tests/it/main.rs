//! The one integration binary: the house's own rules, then the real tmux and git in sandboxes.

mod house;
mod launch;
mod layers;
