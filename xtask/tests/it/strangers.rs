//! Nothing in the tree may hold for one machine or one mirror only: no host name of a package
//! registry (the package managers' own settings choose it) and no absolute path of a developer's.

use std::fs;

use crate::tree;

/// Host names, put together here so that this file does not hold one.
fn hosts() -> Vec<String> {
    let parts = [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("crates", "io"),
        ("npmjs", "org"),
        ("deb.debian", "org"),
        ("proxy.golang", "org"),
    ];
    parts.iter().map(|(name, domain)| format!("{name}.{domain}")).collect()
}

/// Folders in which someone's checkout or home lies.
fn folders() -> Vec<String> {
    ["work", "root", "home", "Users"].iter().map(|name| format!("/{name}/")).collect()
}

/// What stands in `text` that should not: a host wherever it is, a folder where a path begins.
fn strangers(text: &[u8]) -> Vec<String> {
    let found = |wanted: &String, begins: bool| {
        let wanted = wanted.as_bytes();
        text.windows(wanted.len())
            .enumerate()
            .any(|(at, window)| window == wanted && (!begins || at == 0 || !inside(text[at - 1])))
    };
    let hosts = hosts().into_iter().filter(|host| found(host, false));
    hosts.chain(folders().into_iter().filter(|folder| found(folder, true))).collect()
}

/// Whether a slash after this byte goes on with a path or an address.
fn inside(before: u8) -> bool {
    before.is_ascii_alphanumeric() || b"._-~/}>)*$".contains(&before)
}

#[test]
fn no_file_names_a_package_registry_or_a_local_path() {
    let root = tree::root();
    let files = tree::files();
    assert!(files.len() > 100, "found only {} files", files.len());
    let mut findings = Vec::new();
    for file in files {
        // Cargo writes the registry into its lock file, whatever the settings are.
        if file.file_name().is_some_and(|name| name == "Cargo.lock") {
            continue;
        }
        let text = fs::read(&file).expect("a file of the checkout can be read");
        let place = file.strip_prefix(&root).expect("the file lies in the checkout").display();
        findings.extend(strangers(&text).into_iter().map(|what| format!("{place}: {what}")));
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn every_host_and_folder_is_found() {
    for host in hosts() {
        assert_eq!(strangers(format!("https://files.{host}/simple").as_bytes()), [host]);
    }
    for folder in folders() {
        let text = format!("open(\"{folder}x\")");
        assert_eq!(strangers(text.as_bytes()), strangers(folder.as_bytes()));
        assert_eq!(strangers(folder.as_bytes()), [folder]);
    }
}

#[test]
fn a_relative_path_and_an_address_are_no_local_path() {
    for fine in ["tests/work/a", "example.org/home/b", "$OUT/root/c", "~/work/d", "homework/"] {
        assert!(strangers(fine.as_bytes()).is_empty(), "{fine}");
    }
}
