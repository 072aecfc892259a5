//! Users of a node, as the classes of `fluss.security`.

use fluss_client::UserInfo;
use pyo3::prelude::*;

use super::classes::list;

pub(super) fn infos(py: Python<'_>, users: Vec<UserInfo>) -> PyResult<Bound<'_, PyAny>> {
    let security = py.import("fluss.security")?;
    let (info, source) = (security.getattr("UserInfo")?, security.getattr("UserSource")?);
    let made = |user: UserInfo| info.call1((user.name, source.call1((user.source.to_string(),))?));
    list(py, users.into_iter().map(made))
}
