//! Words for what the API server did not do.

use std::error::Error;

/// What is wrong with a request, and what to do about it. `rights` are the verbs and the kind that
/// whoever asks must be granted.
#[must_use]
pub fn explained(error: &kube::Error, rights: &str) -> String {
    let kube::Error::Api(status) = error else {
        return with_cause(error);
    };
    let (code, said) = (status.code, &status.message);
    match code {
        401 => format!(
            "the API server does not know who asks ({code}): renew the credentials of the \
             kubeconfig, or of the service account"
        ),
        403 => format!("{said} ({code}): grant {rights}"),
        _ => format!("{said} ({code})"),
    }
}

/// An error with what is at the bottom of it.
pub(crate) fn with_cause(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let (said, root) = (error.to_string(), root.to_string());
    if said.contains(&root) {
        said
    } else {
        format!("{said}: {root}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn told(code: u16, message: &str) -> String {
        let status = Status {
            code,
            message: message.to_owned(),
            ..Status::default()
        };
        explained(&kube::Error::Api(status.boxed()), "`list` of pods")
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let forbidden = "pods is forbidden: User \"u\" cannot list resource \"pods\"";
        let expected = format!("{forbidden} (403): grant `list` of pods");
        assert_eq!(told(403, forbidden), expected);
        assert!(told(401, "Unauthorized").contains("renew the credentials"));
        assert_eq!(told(429, "too many"), "too many (429)");
    }

    #[test]
    fn what_broke_is_told_with_its_cause() {
        let cause = std::io::Error::other("connection refused");
        let error = kube::Error::Service(Box::new(cause));
        let said = explained(&error, "");
        assert!(said.ends_with("connection refused"), "{said}");
    }
}
