// Poco::Redis, of the POCO libraries for C++.

#include <Poco/Redis/Array.h>
#include <Poco/Redis/Client.h>
#include <Poco/Redis/Command.h>
#include <Poco/Redis/Exception.h>

#include <iostream>
#include <string>

using namespace Poco::Redis;

int main(int count, char** words) {
    if (count < 5) return 2;
    const std::string prefix = std::string(words[4]) + ":";
    Client client(words[2], std::stoi(words[3]));

    Array ping;
    ping << "PING";
    std::cout << "ping=" << client.execute<std::string>(ping) << '\n';
    const std::string binary("a\0\r\n\xff$*", 7);
    client.execute<std::string>(Command::set(prefix + "binary", binary));
    const bool same = client.execute<BulkString>(Command::get(prefix + "binary")).value() == binary;
    std::cout << "binary=" << (same ? "61000d0aff242a" : "other") << '\n';
    std::cout << "missing=" << (client.execute<BulkString>(Command::get(prefix + "missing")).isNull() ? "nil" : "something") << '\n';
    client.execute<Poco::Int64>(Command::rpush(prefix + "list", {"1", "2", "3"}));
    const Array list = client.execute<Array>(Command::lrange(prefix + "list"));
    std::cout << "list=" << list.get<BulkString>(0).value() << ',' << list.get<BulkString>(1).value() << ','
              << list.get<BulkString>(2).value() << '\n';
    try {
        client.execute<Poco::Int64>(Command::incr(prefix + "list"));
    } catch (const RedisException& error) {
        std::cout << "error=" << error.message().substr(0, 9) << '\n';
    }
    int right = 0;
    for (int n = 0; n < 500; n++) {
        const std::string name = prefix + "spread:" + std::to_string(n);
        client.execute<std::string>(Command::set(name, std::to_string(n)));
        right += client.execute<BulkString>(Command::get(name)).value() == std::to_string(n);
    }
    std::cout << "spread=" << right << '\n';
}
