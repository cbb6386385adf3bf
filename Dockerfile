# The service without your handler. Yours is an image FROM this one, with your code in /app: see docs/DEPLOYMENT.md.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements.txt requirements-http.txt ./
# Libraries first: they change seldom. Only wheels, so that nothing is compiled here.
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: \
    --requirement requirements.txt --requirement requirements-http.txt
COPY pyproject.toml README.md requirements*.txt ./
COPY worker worker
# Compiled by what is in the files, not by their times: builders round these, and what seems older is compiled at each start anew.
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/venv/bin/python -m compileall -q -f --invalidation-mode checked-hash /opt/venv

FROM python:${PYTHON}-slim
# For whatever user it runs as, like /tmp; in them the service makes a folder that is its own. A volume in memory that an engine
# mounts there is root's, and takes its mode from here. And Python's own modules come uncompiled in that image: as nobody may
# write there later, each process would compile them anew.
RUN install -d -m 1777 /run/kafka-worker /var/lib/kafka-worker && install -d /app \
    && python -m compileall -q -f --invalidation-mode checked-hash \
        -x '/(ensurepip|idlelib|site-packages|tkinter|turtledemo)/' /usr/local/lib/python3.*
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    RUNTIME_DIRECTORY=/run/kafka-worker \
    STATE_DIRECTORY=/var/lib/kafka-worker \
    HTTP=0.0.0.0:8080
# A number, by which Kubernetes can tell that it is not root. No user of that name is needed, nor a home.
USER 10001:10001
# Where handlers are looked for first.
WORKDIR /app
EXPOSE 8080
STOPSIGNAL SIGTERM
# Alive: /livez says so, wherever HTTP is served; without HTTP, `status` finds the service, whatever it says of it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=6 \
    CMD ["python", "-ISc", "import http.client as h, os, subprocess as s\nif not os.environ.get('HTTP'): raise SystemExit(s.call(['kafka-worker', 'status']) not in (0, 1))\nc = h.HTTPConnection(os.environ['HTTP'], timeout=4); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]
# In this form it is PID 1 itself, and hears the signals: it needs no init.
ENTRYPOINT ["kafka-worker"]
