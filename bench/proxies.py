"""The proxies that are compared: sluice in its builds, and those peers that are installed. A command has {listen} and {to}."""
import os, shutil, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DENO = os.path.join(ROOT, "node_modules", ".bin", "deno")
NODE = os.environ.get("NODE", "node")


class Kind:
    """What the clients speak."""
    def __init__(self, tls, ws):
        self.flags = (" -T" if tls else "") + (" -W" if ws else "")
        scheme = ("wss" if tls else "ws") if ws else ("mqtts" if tls else "mqtt")
        self.listen = scheme + "://127.0.0.1:{listen}" + (" --cert {cert} --key {key}" if tls else "")


def sluice(program, kind):
    """The command line of one build of sluice with default settings."""
    return f"{program} --listen {kind.listen} --to mqtt://127.0.0.1:{{to}} --log-level error"


BUILDS = {
    "sluice": f"{ROOT}/dist/sluice",
    "node": f"{NODE} {ROOT}/dist/sluice.node.js",
    "deno": f"{DENO} run -A {ROOT}/dist/sluice.deno.js",
}


# Every CONNECT goes past some routes, its password is checked (and remembered), its session is remembered, and it is written anew.
POLICY = """[authentication]
checks = [{{ type = "password_file", file = "{work}/users" }}]
[[routes]]
address = "192.0.2.0/24"
refuse = "not_authorized"
[[routes]]
client_id = "never-*"
username = "nobody-*"
pool = "other"
[[routes]]
client_id = "mqload-*"
version = ["3.1.1", "5"]
pool = "default"
[pools.default]
brokers = ["mqtt://127.0.0.1:{to}"]
affinity = "session"
[pools.default.connect]
client_id = "${{username}}/${{client.id}}"
username = "gate"
password = "s3cret"
will_topic_prefix = "tenants/${{username}}/"
[pools.other]
brokers = ["mqtt://127.0.0.1:{to}"]
"""
DEVICE, PASSWORD = "device", "secret-of-device"
LOGIN = f" -u {DEVICE} -P {PASSWORD} -k"


def with_policy(program, kind, work, to):
    """The command line of sluice with all that is decided at CONNECT switched on."""
    with open(f"{work}/users", "w"):
        pass
    subprocess.run(program.split() + ["passwd", f"{work}/users", DEVICE], input=PASSWORD + "\n", text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(f"{work}/policy.toml", "w") as file:
        file.write(POLICY.format(work=work, to=to))
    return f"{program} --listen {kind.listen} --config {work}/policy.toml --log-level error"


def also(words, kind):
    """--also node, --also deno (our own builds), or --also name='command'."""
    rows = {}
    for word in words:
        name, equals, command = word.partition("=")
        if equals:
            rows[name] = command
        elif name in BUILDS:
            rows[name] = sluice(BUILDS[name], kind)
        else:
            sys.exit(f'read --also "{word}", expected {", ".join(BUILDS)} or name=command')
    return rows


def missing(command):
    """Why a command cannot run at all, or None. The first words are looked at: the program, and a script of ours."""
    words = command.split()
    if shutil.which(words[0], path=search_path()) is None:
        return f"{words[0]} is not there"
    for word in words[1:4]:
        if word.endswith(".js") and not os.path.exists(word):
            return f"{word} is not built: npm run build"
    return None


def search_path():
    """Debian keeps daemons where only root looks."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


HAPROXY = """global
  maxconn 9000
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend m
  bind 127.0.0.1:{listen}{tls}
  tcp-request inspect-delay 10s
  tcp-request content reject unless {{ req.payload(0,0),mqtt_is_valid }}
  default_backend b
backend b
  stick-table type string len 32 size 100k expire 30m
  stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)
  server s1 127.0.0.1:{to}
"""

NGINX = """{module}worker_processes 1; daemon off; pid {work}/nginx.pid; error_log {work}/nginx.err;
events {{ worker_connections 18000; }}
stream {{ server {{ listen 127.0.0.1:{listen}{tls}; proxy_pass 127.0.0.1:{to}; proxy_timeout 1h; }} }}
"""


def haproxy(work, listen, to, tls):
    program = shutil.which("haproxy", path=search_path())
    if program is None:
        return None, "not installed"
    with open(f"{work}/haproxy.cfg", "w") as file:
        file.write(HAPROXY.format(listen=listen, to=to, tls=f" ssl crt {work}/both.pem" if tls else ""))
    return checked(f"{program} -f {work}/haproxy.cfg -db", "-c")


def nginx(work, listen, to, tls):
    program = shutil.which("nginx", path=search_path())
    if program is None:
        return None, "not installed"
    modules = [f"{d}/ngx_stream_module.so" for d in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/etc/nginx/modules")]
    found = next((m for m in modules if os.path.exists(m)), None)
    with open(f"{work}/nginx.cfg", "w") as file:
        file.write(NGINX.format(
            module=f"load_module {found};\n" if found else "", work=work, listen=listen, to=to,
            tls=f" ssl; ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem" if tls else ""))
    return checked(f"{program} -c {work}/nginx.cfg", "-t")


def checked(command, flag):
    """Some builds lack MQTT, TLS or streams: their own check of the configuration tells."""
    ran = subprocess.run(command.split() + [flag], capture_output=True, text=True)
    return (command, None) if ran.returncode == 0 else (None, (ran.stderr.strip().splitlines() or ["refuses its configuration"])[-1])
