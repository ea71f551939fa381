//! From text to a [`fleet::Fleet`], or to all problems at once. Pure: it reads what it is given.

pub mod fleet;
