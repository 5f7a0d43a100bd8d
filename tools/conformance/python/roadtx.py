"""ROADtools, unmodified: the command roadtx as its package installs it, and where a
command needs a browser window, the same call of roadlib with the run's browser.

Every command runs once: what needs a second try has failed.
"""
import roadtx_app
import roadtx_browser
import roadtx_device
import roadtx_hello
import roadtx_policy
import roadtx_prt
import roadtx_tokens
from roadtx_cli import Tool

if __name__ == "__main__":
    tool = Tool()
    roadtx_tokens.run(tool)
    roadtx_app.run(tool)
    if roadtx_device.join(tool):
        roadtx_prt.run(tool)
        roadtx_browser.run(tool)
        roadtx_hello.run(tool)
        roadtx_policy.run(tool)
    roadtx_device.leave(tool)
