"""The page: train a Vision Transformer live, use it, look inside."""

import argparse
import os
import sys

# Before torch is imported. Its threads wait for one another after each operation; those that spin meanwhile take the
# cores from whatever else computes here: a run from its visitors, and they from it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(argv: list[str] | None = None) -> None:
    """Reads the flags, builds the page and serves it until interrupted; where it can't be served, exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Serve the page on which a small Vision Transformer is trained live, used, and looked into.",
        epilog="What visitors may use is bounded by variables, which README.md lists.",
    )
    host, port = os.getenv("GRADIO_SERVER_NAME", "127.0.0.1"), os.getenv("GRADIO_SERVER_PORT")
    parser.add_argument("--share", action="store_true", help="also open a public link, which lives one week")
    parser.add_argument(
        "--host", default=host, help=f"to listen on, {host} if not given; 0.0.0.0 lets other machines of the network in"
    )
    parser.add_argument("--port", type=int, default=port, help="to listen on; without, the first free one from 7860")
    parser.add_argument("--auth", metavar="NAME:PASSWORD", help="let in only who knows these")
    parser.add_argument("--model", metavar="SOURCE", help="a model folder, or OWNER/NAME on the Hub, to open on")
    parser.add_argument(
        "--mcp", action="store_true", help="also serve the endpoints as tools over the Model Context Protocol"
    )
    arguments = parser.parse_args(argv)

    from vit import environment

    environment.settle(arguments.host)
    try:
        environment.check_address(arguments.host, arguments.port)
        login = environment.login(arguments.auth)
    except ValueError as error:
        print(f"app.py: {error}", file=sys.stderr)
        sys.exit(2)

    from vit.device import share_memory
    from vit.live import datasets, elsewhere, models, space, speed
    from vit.ui import logs, page

    logs.start()
    share_memory()
    if arguments.model:
        try:
            elsewhere.give(arguments.model)
        except ValueError as error:
            parser.error(f"--model: {error}")
    if space.ON_SPACE or arguments.share or arguments.host not in environment.HERE:
        elsewhere.lend_no_token()  # only now: the model above may be the host's alone
    address = {"server_name": arguments.host, "server_port": arguments.port}
    demo = page.build()
    page.launch(demo, share=arguments.share, auth=login, mcp_server=arguments.mcp, prevent_thread_lock=True, **address)
    datasets.load_in_background(then=speed.find_out)  # only now: it would keep the page from its first answer
    models.shipped()  # what of the checkpoints can't be read stands in the log before a visitor asks
    demo.block_thread()


if __name__ == "__main__":
    main()
