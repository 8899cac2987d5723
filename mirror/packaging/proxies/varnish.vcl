# Varnish in front of fermata-mirror. For /etc/varnish/default.vcl.
# Tried with Varnish 7.1 (Debian 12): tests/mirror/scripts/proxies.sh runs this file.
#
# /cache/ never changes and is kept for as long as the mirror says, a year. The index, repo and
# version are kept for a second, then asked about with their ETag, and served on for a day when the
# mirror does not answer. Everything else goes through.
vcl 4.1;

backend mirror {
  .host = "127.0.0.1";
  .port = "8080";
  .first_byte_timeout = 600s; # an archive that is being fetched for who asks
  .between_bytes_timeout = 60s;
  .probe = {
    .url = "/healthz";
    .interval = 5s;
    .timeout = 2s;
    .initial = 8;
  }
}

sub vcl_recv {
  if (req.method != "GET" && req.method != "HEAD") {
    return (pass);
  }
  if (req.url == "/status/events") {
    return (pipe);
  }
  if (req.url ~ "^/cache/" || req.url ~ "^/(index\.tar\.gz|repo|version)(\?|$)") {
    set req.url = regsub(req.url, "\?.*$", "");
    unset req.http.Cookie;
    unset req.http.Authorization;
    return (hash);
  }
  return (pass);
}

sub vcl_backend_response {
  if (bereq.uncacheable) {
    return (deliver);
  }
  if (bereq.url !~ "^/cache/" && beresp.status == 200) {
    set beresp.ttl = 1s;
    set beresp.grace = 1d;
    set beresp.keep = 1d;
    unset beresp.http.Set-Cookie;
    return (deliver);
  }
  if (bereq.url ~ "^/cache/" && beresp.status == 200) {
    set beresp.do_stream = true;
    set beresp.grace = 1d;
  }
}

sub vcl_deliver {
  if (obj.hits > 0) {
    set resp.http.X-Cache = "HIT";
  } else {
    set resp.http.X-Cache = "MISS";
  }
}
