"""nginx, Apache and Caddy, each run with our sample."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from o2o.address import free_port
from tests.deployment.running import Program, binary, sample, somebody

SHIPPED = "127.0.0.1:8000"
"""Where the samples look for o2o."""

_NGINX = """
{user}
daemon off;
pid {directory}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;
}}
"""

_APACHE = """
ServerRoot {directory}
DefaultRuntimeDir {directory}
PidFile {directory}/pid
ServerName localhost
Listen 127.0.0.1:{port}
User {user}
Group {group}
ErrorLog /dev/stderr
{modules}
Include {directory}/site.conf
"""

MODULES = Path("/usr/lib/apache2/modules")
"""Where Debian has Apache's modules; elsewhere the tests are skipped."""


def nginx(o2o: str, directory: Path, changes: Mapping[str, str] | None = None) -> Program:
    """Return nginx in front of `o2o`, which is a host and port, or `unix:` and a path."""
    program, port = binary("nginx"), free_port("127.0.0.1")
    site = {
        f"server {SHIPPED};": f"server {o2o};",
        "listen 80;": f"listen 127.0.0.1:{port};",
        **(changes or {}),
    }
    (directory / "site.conf").write_text(sample("nginx.conf", site))
    user = f"user {' '.join(somebody())};" if os.geteuid() == 0 else ""
    main = directory / "nginx.conf"
    main.write_text(_NGINX.format(directory=directory, user=user))
    return Program([program, "-p", str(directory), "-c", str(main), "-e", "stderr"], port, directory)


def apache_command(site: str, modules: str, directory: Path, port: int) -> list[str]:
    """Write what Apache needs to serve a site, and return how to start it."""
    program = binary("apache2")
    (directory / "site.conf").write_text(site.replace("*:80", f"127.0.0.1:{port}"))
    loaded = (
        f"LoadModule {name}_module {MODULES}/mod_{name}.so"
        for name in f"mpm_event authz_core env {modules}".split()
    )
    user, group = somebody()
    main = directory / "apache2.conf"
    main.write_text(
        _APACHE.format(directory=directory, port=port, user=user, group=group, modules="\n".join(loaded))
    )
    return [program, "-f", str(main), "-DFOREGROUND"]


def apache(o2o: str, directory: Path, changes: Mapping[str, str] | None = None) -> Program:
    """Return Apache in front of `o2o`, which is a host and port."""
    port = free_port("127.0.0.1")
    site = sample("apache.conf", {f"http://{SHIPPED}/": f"http://{o2o}/", **(changes or {})})
    return Program(apache_command(site, "proxy proxy_http headers", directory, port), port, directory)


def caddy(o2o: str, directory: Path, changes: Mapping[str, str] | None = None) -> Program:
    """Return Caddy in front of `o2o`, which is a host and port."""
    program, port = binary("caddy"), free_port("127.0.0.1")
    address = f"http://127.0.0.1:{port} {{\n\tbind 127.0.0.1"
    text = sample("Caddyfile", {"\n:80 {": f"\n{address}", SHIPPED: o2o, **(changes or {})})
    path = directory / "Caddyfile"
    path.write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}")
    home = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(directory))
    return Program([program, "run", "--adapter", "caddyfile", "--config", str(path)], port, directory, home)


Front = Callable[[str, Path], Program]
