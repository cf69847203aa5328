use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{Directory, Server, certify, free_port, installed, program, strings};

/// A Redis or Valkey server that writes every change to its disk.
#[derive(Debug)]
pub struct Redis {
    command: Vec<String>,
    directory: Directory,
    port: u16,
    scheme: &'static str,
    server: Option<Server>,
}

impl Redis {
    /// An empty server: Valkey where it is on the `PATH`, Redis otherwise, or `None` if neither is
    /// installed.
    pub fn start() -> Option<Self> {
        Self::start_with("--port", &[])
    }

    /// The same behind TLS, with a certificate that nobody knows.
    pub fn start_with_tls() -> Option<Self> {
        program("openssl", &[])?;
        let files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem"];
        let options = [&["--port", "0", "--tls-auth-clients", "no"][..], &files].concat();
        Self::start_with("--tls-port", &options)
    }

    fn start_with(port_option: &str, more: &[&str]) -> Option<Self> {
        let program = ["valkey-server", "redis-server"].into_iter().find_map(installed);
        let program = program.or_else(|| self::program("redis-server", &[]))?;
        let (directory, port) = (Directory::new("redis"), free_port());
        let mut command = vec![program.display().to_string(), port_option.to_owned(), port.to_string()];
        command.extend(["--dir".to_owned(), directory.path.display().to_string()]);
        let options = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""];
        command.extend(strings(&options));
        command.extend(strings(more));
        let scheme = if port_option == "--tls-port" { "rediss" } else { "redis" };
        if scheme == "rediss" {
            certify(&directory.path);
        }
        let mut redis = Self { command, directory, port, scheme, server: None };
        redis.restart();
        Some(redis)
    }

    /// Starts it, again if need be.
    pub fn restart(&mut self) {
        self.server = None;
        self.server = Some(Server::start(&self.command, self.port, &self.directory.path));
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Who has signed the certificate of [`start_with_tls`](Self::start_with_tls).
    pub fn authority(&self) -> PathBuf {
        self.directory.path.join("ca.pem")
    }

    /// The server.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// What its command line client prints.
    fn ask(&self, client: &Path, command: &[&str]) -> String {
        let output = Command::new(client).args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.server = None;
    }
}

/// A Cluster of three primaries with a replica each.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
    client: PathBuf,
}

impl Cluster {
    /// An empty Cluster, or `None` if Redis or Valkey is not installed.
    pub fn start() -> Option<Self> {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let nodes = (0..6).map(|_| Redis::start_with("--port", &options)).collect::<Option<Vec<_>>>()?;
        let client =
            ["valkey-cli", "redis-cli"].into_iter().find_map(installed).or_else(|| program("redis-cli", &[]))?;
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let output = Command::new(&client)
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { nodes, client };
        cluster.settle();
        Some(cluster)
    }

    /// Waits until all nodes know each other and each replica has its primary's data.
    pub fn settle(&self) {
        let start = Instant::now();
        let ready = |node: &Redis| {
            let (nodes, replication) =
                (node.ask(&self.client, &["cluster", "nodes"]), node.ask(&self.client, &["info", "replication"]));
            let failed = nodes.lines().any(|line| line.contains("fail"));
            let replicas = nodes.lines().filter(|line| line.contains("slave")).count();
            node.ask(&self.client, &["cluster", "info"]).contains("cluster_state:ok")
                && (failed, replicas) == (false, 3)
                && (!replication.contains("role:slave") || replication.contains("master_link_status:up"))
        };
        while !self.nodes.iter().all(ready) {
            assert!(start.elapsed() < Duration::from_secs(60), "the Cluster does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills a node that is a primary now, and says which it was. Its replica, which takes over,
    /// has got nothing for so long.
    pub fn kill_a_primary(&mut self, lag: Duration) -> usize {
        let roles: Vec<_> = self.nodes.iter().map(|node| node.ask(&self.client, &["role"])).collect();
        let primary = roles.iter().position(|role| role.starts_with("master")).unwrap();
        let port = self.nodes[primary].port.to_string();
        let replicates = |role: &String| role.starts_with("slave") && role.lines().nth(2) == Some(&port);
        let replica = roles.iter().position(replicates).unwrap();
        let (client, replica) = (&self.client, &self.nodes[replica]);
        let log_in_as = |user: &str| replica.ask(client, &["config", "set", "masteruser", user, "masterauth", user]);
        if !lag.is_zero() {
            // It cannot log in again once its connection has ended.
            log_in_as("nobody");
            replica.ask(client, &["client", "kill", "type", "master"]);
            std::thread::sleep(lag);
        }
        self.nodes[primary].server.as_ref().unwrap().signal("KILL");
        log_in_as("");
        self.nodes[primary].kill();
        primary
    }

    /// Starts a node again, and waits until it has caught up.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].restart();
        self.settle();
    }

    /// The Cluster, by three of its nodes.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().take(3).map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }
}
