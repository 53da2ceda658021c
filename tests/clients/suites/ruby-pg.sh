# shellcheck shell=bash disable=SC2034
# ruby-pg 1.4.5 (its repository at that tag; the module is Debian's ruby-pg, the runner ruby-rspec).
# SUITE_TESTS: arguments for rspec, such as -e NAME.
SUITE_DATABASE="test"

# The specs start a server of their own: ours stands in its place.
suite_prepare() {
    cp -r "$SOURCE/spec" .
    cat >>spec/helpers.rb <<'RUBY'
PG::TestingHelpers::PostgresServer.class_eval do
	def initialize(name, **)
		@name = name
		@port = ENV['PGPORT'].to_i
		@conninfo = "host=localhost port=#{@port} dbname=test sslrootcert=#{ENV['SUITE_CA']}"
		@unix_socket = ENV['SUITE_SOCKET']
	end
	def create_test_db; end
	def teardown; end
end
RUBY
}

suite_tests() {
    unset PGDATABASE
    export SUITE_CA="$STATE/tls/ca.crt" SUITE_SOCKET="$STATE/socket"
    # shellcheck disable=SC2086
    timeout 400 rspec -I spec --order defined --format progress --format json --out out.json ${SUITE_TESTS:-spec} || true
    ruby -rjson -e 'JSON.parse(File.read("out.json"))["examples"].each do |e|
        puts((e["status"] == "failed" ? "not ok - " : "ok - ") + e["full_description"].tr("\n#", "  ") +
            (e["status"] == "pending" ? " # SKIP" : ""))
    end' >"$1/ruby-pg.tap"
}
