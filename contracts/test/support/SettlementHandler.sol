// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SettlementFixture} from "./SettlementFixture.sol";

/// @notice Actions of consumers, an unreliable poster and nodes, in any order and with any amounts.
contract SettlementHandler is SettlementFixture {
    uint256 public deposited = DEPOSIT;
    uint256 public withdrawn;
    address[3] public consumers = [CONSUMER, address(0xC1), address(0xC2)];

    uint256 private _promised;
    uint256 private _promisedKey;

    constructor() {
        _deploy();
    }

    function held() external view returns (uint256) {
        return token.balanceOf(address(settlement));
    }

    function charged() external view returns (uint256) {
        return settlement.totalCharged();
    }

    function paid() external view returns (uint256) {
        return settlement.totalPaid();
    }

    function balances() external view returns (uint256 sum) {
        for (uint256 i = 0; i < consumers.length; ++i) {
            (uint256 balance,) = settlement.account(consumers[i]);
            sum += balance;
        }
    }

    function deposit(uint256 who, uint256 amount) external {
        amount = _bound(amount, 0, DEPOSIT);
        _fund(consumers[who % 3], amount);
        deposited += amount;
    }

    function limit(uint256 who, uint256 amount) external {
        vm.prank(consumers[who % 3]);
        settlement.setBatchLimit(_bound(amount, 0, DEPOSIT));
    }

    function withdraw(uint256 who, uint256 amount) external {
        address consumer = consumers[who % 3];
        vm.prank(consumer);
        settlement.requestWithdrawal(_bound(amount, 1, DEPOSIT));
        vm.warp(block.timestamp + settlement.WITHDRAWAL_DELAY());
        uint256 before = token.balanceOf(consumer);
        vm.prank(consumer);
        settlement.withdraw();
        withdrawn += token.balanceOf(consumer) - before;
    }

    /// @dev The earnings root may promise any amount.
    function post(uint256 who, uint256 amount, uint256 key, uint256 promised) external {
        address consumer = consumers[who % 3];
        (uint256 balance, uint256 batchLimit) = settlement.account(consumer);
        amount = _bound(amount, 0, balance < batchLimit ? balance : batchLimit);
        _promisedKey = _bound(key, 1, 3);
        _promised = promised % 2 == 0 ? _bound(promised, 1, DEPOSIT * 10) : settlement.totalCharged() + amount;
        _postFor(consumer, _leaf(_promisedKey, _promised), amount);
    }

    function claim(address to) external {
        if (_promised == 0 || to == address(0) || to == address(settlement)) return;
        _claim(_promisedKey, _promised, to);
    }
}
