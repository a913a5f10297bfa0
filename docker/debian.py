"""A fresh Debian in a folder, for docker/test: made by debootstrap and entered by chroot, which needs root.

What this machine needs to reach package registries (proxies, certificates, settings of pip, Go and apt) goes along;
nothing else does: no cache, no tool besides Go.
"""
import os, re, shutil, subprocess, sys

SUITE = "bookworm"
PATH = "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SETTINGS = re.compile(r"(https?|ftp|all|no)_proxy|PIP_\w+|(SSL_CERT_FILE|\w+_CA_BUNDLE|GIT_SSL_CAINFO)", re.I)

# Mounts live in a namespace of their own, and processes too: both are gone when the command ends, however it ends.
ENTER = """
set -e
mount --rbind /dev "$1/dev"
mount --rbind /sys "$1/sys"
mount -t proc proc "$1/proc"
[ "$2" != alone ] || python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x49))' # SIOCSIFFLAGS: lo is up and running
folder=$1 user=$3 && shift 3
exec chroot --userspec="$user" "$folder" /usr/bin/env -i "$@"
"""


def say(text):
    print(f"== {text}", flush=True)


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Debian:
    def __init__(self, folder, packages):
        """Installs Debian with so many packages and the Go of this machine into a folder that does not exist yet."""
        if os.geteuid() != 0:
            sys.exit("docker/test: debootstrap and chroot need root")
        for tool in ("debootstrap", "unshare", "chroot", "go", "git"):
            if not shutil.which(tool):
                sys.exit(f"docker/test: {tool} is missing; Debian or Ubuntu: apt-get install {tool}")
        self.folder, self.settings = os.path.abspath(folder), {}
        say(f"Debian {SUITE} with {', '.join(packages)}")
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", SUITE, self.folder, *mirror()],
                       check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(output("go", "env", "GOROOT").strip(), self.inside("/usr/local/go"), symlinks=True)
        self.connect()

    def inside(self, path):
        return self.folder + path

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.inside(path)), exist_ok=True)
        with open(self.inside(path), "w") as f:
            f.write(text)

    def connect(self):
        for path in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(path, self.inside(path))
        acquire = [line for line in output("apt-config", "dump").splitlines() if re.match(r"Acquire::(https?|ftp)::", line, re.I)]
        self.write("/etc/apt/apt.conf.d/99machine", "\n".join(acquire) + "\n")
        pip = ["/etc/pip.conf", os.path.expanduser("~/.pip/pip.conf"), os.path.expanduser("~/.config/pip/pip.conf")]
        self.write("/etc/pip.conf", "".join(open(p).read() + "\n" for p in pip if os.path.isfile(p)))
        for name, value in os.environ.items():
            if not SETTINGS.fullmatch(name) or os.path.isdir(value):
                continue
            if os.path.isfile(value):
                text = open(value).read()
                value = f"/etc/machine/{name}"
                self.write(value, text)
            self.settings[name] = value
        for name in ("GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE"):
            if value := output("go", "env", name).strip():
                self.settings[name] = value

    def run(self, command, user="root", env=None, cwd="/", alone=False, check=True):
        """Runs a command, a list, in the folder; alone: without any network but its own loopback. Returns its status."""
        settings = {"PATH": PATH, "LANG": "C.UTF-8"} | ({} if alone else self.settings) | (env or {})
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", *(["--net"] if alone else [])]
        status = subprocess.run(["unshare", *namespaces, "sh", "-c", ENTER, "sh", self.folder, "alone" if alone else "-", user,
                                 "-C", cwd, *[f"{k}={v}" for k, v in settings.items()], *command]).returncode
        if check and status:
            sys.exit(f"docker/test: status {status} of {' '.join(command)}")
        return status

    def owner(self, user):
        """Numbers of a user, or of user:group, as the folder knows them."""
        user, _, group = user.partition(":")
        find = lambda file, name: next((l.split(":") for l in open(self.inside(file)) if name in l.split(":")[0:3:2]), [name, "", name, name])
        person = find("/etc/passwd", user)
        return int(person[2]), int(find("/etc/group", group)[2] if group else person[3])

    def give(self, path, user):
        """Makes a user the owner of all below path."""
        uid, gid = self.owner(user)
        for top, folders, files in os.walk(self.inside(path)):
            for name in [top, *(os.path.join(top, n) for n in folders + files)]:
                os.lchown(name, uid, gid)


def mirror():
    """Where apt takes this suite from, if it does: debootstrap's own default else."""
    targets = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    return [line.split()[0] for line in targets.splitlines() if line.split()[1:] == [SUITE, "main"]][:1]
