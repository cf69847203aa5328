"""The programs: what is built, how each is started, asked and stopped."""
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Failed(Exception):
    """Something could not be started, or did not answer as it must."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def cargo(*arguments):
    if subprocess.run(['cargo', 'build', '--release', '--quiet', *arguments]).returncode != 0:
        raise Failed('cargo build ' + ' '.join(arguments))


def build():
    """The folder with the programs of this folder, built."""
    cargo('--locked', '--manifest-path', str(HERE / 'Cargo.toml'), '--target-dir', str(HERE / 'target'))
    return HERE / 'target/release'


def build_gateway():
    cargo('--locked', '--manifest-path', str(ROOT / 'Cargo.toml'), '--features', 'gateway')
    return Path(os.environ.get('CARGO_TARGET_DIR') or ROOT / 'target') / 'release/tower-responses'


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def ask(port, method, path, body=None, timeout=30):
    """Status and body of one answer."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)
    try:
        headers = {'content-type': 'application/json', 'authorization': 'Bearer compare'}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Program:
    """One that listens on a port. `arguments` may hold {port}, {upstream} (its port) and {state} (its folder)."""
    stores = False

    def __init__(self, name, arguments, folder, upstream=None, environment=None):
        self.name, self.arguments, self.upstream = name, [str(argument) for argument in arguments], upstream
        self.folder, self.environment = folder / name, environment or {}
        self.folder.mkdir()
        self.state, self.port, self.process = self.folder / 'state', free_port(), None

    def fill(self, text):
        upstream = self.upstream.port if self.upstream else ''
        return text.replace('{port}', str(self.port)).replace('{upstream}', str(upstream)).replace('{state}', str(self.state))

    def start(self, fresh=True):
        """Seconds until it answers. `fresh`: without the state that an earlier one left."""
        self.stop()
        if fresh:
            shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(exist_ok=True)
        environment = {**os.environ, **{key: self.fill(value) for key, value in self.environment.items()}}
        log = open(self.folder / 'log', 'ab')
        began = time.perf_counter()
        self.process = subprocess.Popen([self.fill(argument) for argument in self.arguments], stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, env=environment, cwd=self.state)
        log.close()
        while time.perf_counter() - began < 30:
            if self.process.poll() is not None:
                break
            try:
                ask(self.port, 'GET', '/health', timeout=5)
                return time.perf_counter() - began
            except (OSError, http.client.HTTPException):
                time.sleep(0.001)
        raise Failed(f'{self.name} does not answer: {(self.folder / "log").read_text()[-400:]}')

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def executable(self):
        return Path(os.readlink(f'/proc/{self.pid}/exe'))

    def rss_kb(self):
        for line in Path(f'/proc/{self.pid}/status').read_text().splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1])
        raise Failed(f'{self.name} has no VmRSS')

    def state_bytes(self):
        """What a stopped one has left, without logs of the database that only wait to be merged."""
        for path in self.state.rglob('*.db'):
            database = sqlite3.connect(path)
            database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            database.close()
        return sum(path.stat().st_size for path in self.state.rglob('*') if path.is_file())


class Upstream(Program):
    def script(self, **script):
        status, answer = ask(self.port, 'POST', '/script', script)
        if status != 200:
            raise Failed(f'the upstream refuses the script: {answer}')

    def seen(self):
        return json.loads(ask(self.port, 'GET', '/seen')[1])


NGINX = '''worker_processes 1; daemon off; master_process off; pid nginx.pid; error_log stderr;
events { worker_connections 8192; }
http {
  access_log off; client_max_body_size 64m; client_body_buffer_size 8m; keepalive_requests 10000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream scripted { server 127.0.0.1:{upstream}; keepalive 4096; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:{port} backlog=4096;
    location / { proxy_pass http://scripted; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}
'''


class Nginx(Program):
    def __init__(self, folder, upstream):
        super().__init__('nginx', ['nginx', '-e', 'stderr', '-p', '{state}', '-c', folder / 'nginx/nginx.conf'], folder, upstream)

    def start(self, fresh=True):
        (self.folder / 'nginx.conf').write_text(self.fill(NGINX))
        return super().start(fresh)


class Gateway(Program):
    stores = True


def bare(binaries, folder, upstream):
    return Program('bare', [binaries / 'proxy', '{port}', '{upstream}'], folder, upstream)


def ours(binary, folder, upstream):
    return Gateway('ours', [binary, 'serve', '--upstream', 'http://127.0.0.1:{upstream}', '--listen', '127.0.0.1:{port}',
                            '--store', 'sqlite:{state}/store.db', '--alias', 'fast=scripted'], folder, upstream)


def peer(binary, folder, upstream):
    arguments = ['--llm-api-base', 'http://127.0.0.1:{upstream}', '--gateway-host', '127.0.0.1', '--gateway-port', '{port}',
                 '--db-url', 'sqlite://{state}/peer.db?mode=rwc']
    program = Gateway('peer', [binary, *arguments], folder, upstream, {'HOME': '{state}', 'AGENTIC_API_HOME': '{state}'})
    program.start()
    if program.executable().name.startswith('agentic'):  # else a script that stands before it
        program.arguments[0] = str(program.executable())
    program.stop()
    return program


def version(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout + done.stderr).strip().splitlines()[0] if done.returncode == 0 else None
