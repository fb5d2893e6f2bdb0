"""atheris ships for Linux and Python up to 3.13 only (see pyproject.toml); elsewhere there is nothing to run these with."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("atheris") else ["test_*.py"]
