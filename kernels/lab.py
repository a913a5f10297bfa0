"""JupyterLab's settings for this project; notebooks/open passes this file."""
import os

c = get_config()  # noqa: F821
c.KernelSpecManager.ensure_native_kernel = False  # the launcher offers the Go kernel only
c.KernelSpecManager.allowed_kernelspecs = {"gonb"}
c.MultiKernelManager.default_kernel_name = "gonb"
c.LabApp.app_settings_dir = os.path.join(os.path.dirname(os.path.abspath(__file__)), "settings")
c.ServerApp.allow_root = True  # containers; the token still guards the server
