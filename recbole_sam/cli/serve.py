"""``python -m recbole_sam serve``: bundles over HTTP, with a page to play with."""

import os
import socket

from recbole_sam.errors import SettingError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def add_parser(subparsers, help):
    """Adds the subcommand ``serve``."""
    parser = subparsers.add_parser(
        "serve",
        help=help,
        description="Answers over HTTP, and shows a page at /. SIGHUP opens the bundles again; SIGTERM "
        "finishes what was accepted.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("bundle", nargs="+", help="folders made by `python -m recbole_sam bundle`; named as their folders")
    add("--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine only)")
    add("--port", type=int, default=8000, help="0 takes any free one (default: %(default)s)")
    add("--token-env", metavar="NAME", help="an environment variable whose token every call has to bear")
    add("--max-body", type=int, metavar="BYTES", help="of a request (default: 1 MiB)")
    add("--max-history", type=int, metavar="N", help="items of a session (default: 1000)")
    add("--max-k", type=int, metavar="K", help="items of an answer (default: 1000)")
    add("--max-seconds", type=float, metavar="S", help="until a waiting request is given up (default: 10)")
    return parser


def run(args):
    """Serves until a signal ends it.

    Args:
        args (argparse.Namespace): as :func:`add_parser` defines it.

    Returns:
        int: 0 after SIGTERM or Ctrl-C.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise SettingError(
            f"serve needs {error.name}: pip install fastapi uvicorn prometheus_client."
        ) from None
    from recbole_sam.serving.web.limits import Limits

    limits = _limits(args, Limits)
    token = _token(args.token_env)
    with _listener(args.host, args.port) as listener:
        from recbole_sam.serving.web.app import create_app

        local = args.host in LOOPBACK
        app = create_app(args.bundle, limits, token, local and token is None)
        listener.listen(2048)  # who comes now waits for the first answer
        host = f"[{args.host}]" if ":" in args.host else args.host
        print(f"http://{host}:{listener.getsockname()[1]}/ shows the page, /docs the calls.", flush=True)
        if not local and token is None:
            print("Everybody who reaches this machine can ask: see --token-env.", flush=True)
        patience = {"timeout_keep_alive": 75, "timeout_graceful_shutdown": 60}  # proxies hang up first
        quiet = {"log_level": "warning", "access_log": False, "server_header": False}
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", **patience, **quiet))
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:  # uvicorn hands the signal on after it has finished
            pass
    return 0


def _limits(args, kind):
    given = {"body": args.max_body, "history": args.max_history, "k": args.max_k, "seconds": args.max_seconds}
    for name, value in given.items():
        if value is not None and not value > 0:
            raise SettingError(f"--max-{name} is {value}; it must be more than 0.")
    return kind()._replace(**{name: value for name, value in given.items() if value is not None})


def _token(name):
    if name is None:
        return None
    token = os.environ.get(name, "").strip()
    if not token:
        raise SettingError(f"The environment variable {name} of --token-env is empty: put the token into it.")
    return token


def _listener(host, port):
    """A socket that is bound, before the work of loading begins."""
    if not 0 <= port <= 65535:
        raise SettingError(f"--port is {port}; it must be between 0 and 65535.")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingError(
            f"{host} port {port} cannot be used ({error.strerror or error}): give another --host or --port."
        ) from error
    return listener
