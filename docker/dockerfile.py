"""Reads docker/Dockerfile, as much of the language as it uses, and says what in it does not fit the tree."""
import fnmatch, json, os, re, shutil, subprocess

KNOWN = "FROM ARG ENV RUN COPY USER WORKDIR EXPOSE ENTRYPOINT CMD HEALTHCHECK".split()


class Stage:
    def __init__(self, name, base):
        self.name, self.base, self.steps = name, base, []  # base: of an image, or the name of an earlier stage

    def last(self, keyword):
        found = [argument for k, argument in self.steps if k == keyword]
        return found[-1] if found else ""


def parse(text):
    """Returns the stages by name, in order; raises ValueError on what it does not understand."""
    stages, stage, line = {}, None, ""
    for part in text.splitlines():
        if not part.strip() or part.lstrip().startswith("#"):
            continue
        line += part.strip()
        if line.endswith("\\"):
            line = line[:-1]
            continue
        keyword, _, argument = line.partition(" ")
        line = ""
        if keyword not in KNOWN or "<<" in argument:
            raise ValueError(f"unknown instruction: {keyword} {argument}")
        if keyword == "FROM":
            if not (m := re.fullmatch(r"(\S+) AS (\w+)", argument)):
                raise ValueError(f"FROM {argument}, want FROM IMAGE AS NAME")
            stage = stages[m[2]] = Stage(m[2], m[1])
        elif not stage:
            raise ValueError(f"{keyword} before FROM")
        else:
            stage.steps.append((keyword, argument))
    return stages


def flat(stages, target):
    """A target and what it is built on, as one stage with the image's name for a base."""
    stage = stages[target]
    if stage.base not in stages:
        return stage
    below = flat(stages, stage.base)
    whole = Stage(target, below.base)
    whole.steps = below.steps + stage.steps
    return whole


def listed(argument):
    """The words of a command in its JSON form; HEALTHCHECK has options and CMD before it."""
    return json.loads(argument[argument.index("["):])


def pairs(argument):
    """NAME=VALUE pairs of ENV and ARG; ARG may come without a value."""
    return [(name, value.strip('"')) for name, _, value in (word.partition("=") for word in re.findall(r'(?:[^\s"]|"[^"]*")+', argument))]


def expand(text, values):
    return re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda m: values.get(m[1] or m[2], ""), text)


def copied(argument):
    """Owner, sources and destination of a COPY."""
    owner, words = "root", argument.split()
    while words[0].startswith("--"):
        name, _, value = words.pop(0)[2:].partition("=")
        if name != "chown":
            raise ValueError(f"COPY --{name} is unknown")
        owner = value
    return owner, words[:-1], words[-1]


def ignored(path, patterns):
    """Is a path, or a folder that it is in, matched by a line of .dockerignore?"""
    parts = path.split("/")
    for pattern in patterns:
        for end in range(1, len(parts) + 1):
            if pattern.startswith("**/"):
                if fnmatch.fnmatchcase(parts[end - 1], pattern[3:]):
                    return True
            elif "/".join(parts[:end]) == pattern:
                return True
    return False


def lines(path):
    return [line for line in open(path).read().split("\n") if line and not line.startswith("#")]


def committed(root):
    """Paths that git knows; none where there is no git, or no repository of it."""
    if not shutil.which("git"):
        return []
    return subprocess.run(["git", "ls-files", "-z"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split("\0")


def version(text):
    return tuple(int(n) for n in text.split("."))


def faults(root, text, patterns, readme):
    """Yields what is wrong with a Dockerfile, the lines of .dockerignore, or what the README says of them."""
    try:
        stages = parse(text)
    except ValueError as e:
        yield str(e)
        return
    need = next(line.split()[1] for line in lines(os.path.join(root, "go.mod")) if line.startswith("go "))
    for target in ("cpu", "cuda"):
        if target not in stages:
            yield f"no target {target}"
            continue
        stage = flat(stages, target)
        if not (m := re.fullmatch(r"golang:(\d+\.\d+\.\d+)-\w+(@sha256:[0-9a-f]{64})?", stage.base)):
            yield f"{target}: base image {stage.base}, want golang with its full version, golang:1.2.3-suite"
        elif version(m[1]) < version(need):
            yield f"{target}: Go {m[1]} in the base image, go.mod asks for {need}"
        if stage.last("USER") in ("", "root", "0"):
            yield f"{target}: runs as root"
        if not any(k == "RUN" and a == "notebooks/open --prepare" for k, a in stage.steps):
            yield f"{target}: sets nothing up"
        for keyword, argument in stage.steps:
            if keyword == "COPY":
                for source in copied(argument)[1]:
                    if not os.path.exists(os.path.join(root, source)) or ignored(source, patterns):
                        yield f"{target}: COPY {source}: not in the tree, or in .dockerignore"
        if "tini" not in stage.last("ENTRYPOINT"):
            yield f"{target}: no init process"
        for keyword in ("CMD", "HEALTHCHECK"):
            argument = stage.last(keyword)
            program = listed(argument)[0] if argument else ""
            if not program or not os.access(os.path.join(root, program), os.X_OK) or ignored(program, patterns):
                yield f"{target}: {keyword} {program}: no program of the tree"
        if f"--port={stage.last('EXPOSE')}" not in stage.last("CMD"):
            yield f"{target}: EXPOSE {stage.last('EXPOSE')} is not CMD's port"
        runs = dict(p for k, a in stage.steps if k == "ENV" for p in pairs(a)).get("MUSTER_RUNS", "")
        for said in (f"--target {target}", f":{stage.last('EXPOSE')}", f":{os.path.dirname(runs)}"):
            if said not in readme:
                yield f"{target}: the README does not say {said}"
    for line in lines(os.path.join(root, ".gitignore")):
        if "**/" + line.rstrip("/") not in patterns:
            yield f".dockerignore lacks **/{line.rstrip('/')} of .gitignore"
    for path in committed(root):
        if path and ignored(path, patterns):
            yield f".dockerignore hides {path}, which is committed"
